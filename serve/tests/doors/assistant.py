"""An MCP client from the registries over HTTP (Streamable HTTP): every tool, refusals, scopes, the bound on calls. Prints what it saw."""
import asyncio
import json
import os
import sys
import urllib.error
import urllib.request

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

URL, TOKEN, SCOPED = os.environ["DOOR_MCP"], os.environ["DOOR_TOKEN"], os.environ["DOOR_SCOPED"]
CALLS = int(os.environ["DOOR_CALLS"])


def opened(token):
    return streamablehttp_client(URL, headers={"Authorization": "Bearer " + token})


def post(body, **headers):
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + TOKEN, **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except urllib.error.URLError:  # the server does not read to the end what is too long
        return 413, b""


async def main():
    async with opened(TOKEN) as (read, write, _), ClientSession(read, write) as session:
        agreed = await session.initialize()
        assert agreed.serverInfo.name == "keytrail" and agreed.instructions, agreed
        tools = (await session.list_tools()).tools
        names = {tool.name for tool in tools}
        assert {"touched", "findings", "explain", "sql", "posture", "coverage"} <= names and all(tool.annotations.readOnlyHint for tool in tools), names
        values = {
            "identity": "worker-03", "destination": "doors:store/1", "credential": "key-3", "identity_or_credential": "worker-03", "credential_or_identity": "worker-03",
            "dimension": "destination", "sql": "SELECT count(*) AS n FROM events", "a_from": "2026-01-01", "a_to": "2026-01-02", "b_from": "2026-01-02", "b_to": "2026-01-03",
        }
        for tool in tools:
            if tool.name in ("explain", "lineage", "credential_history"):  # this lake has no findings and no ledger
                continue
            answer = await session.call_tool(tool.name, {name: values[name] for name in tool.inputSchema["required"]})
            text = answer.content[0].text
            assert not answer.isError and "coverage" in text.splitlines()[-1].lower(), (tool.name, text[-300:])
        text = (await session.call_tool("touched", {"identity": "worker-03"})).content[0].text
        print(json.dumps({"touched": [json.loads(line) for line in text.splitlines() if line.startswith("{")], "tools": len(tools)}))
        for name, arguments, told in [
            ("touched", {"identity": "worker-o3"}, "no identity matches"), ("touched", {}, "identity is missing"), ("touched", {"identity": "a", "x": 1}, "takes no argument"),
            ("sql", {"sql": "DROP TABLE events"}, "only read"), ("nothing", {}, "no question matches"), ("touched", {"identity": "x'); DROP TABLE events; --"}, "no identity matches"),
        ]:
            answer = await session.call_tool(name, arguments)
            assert answer.isError and told in answer.content[0].text, (name, answer.content)
    async with opened(SCOPED) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        assert [tool.name for tool in (await session.list_tools()).tools] == ["touched"]
        assert not (await session.call_tool("touched", {"identity": "worker-03"})).isError
        answer = await session.call_tool("sql", {"sql": "SELECT * FROM events"})
        assert answer.isError and "scope" in answer.content[0].text, answer.content

    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    status, body = post(ping)
    assert (status, json.loads(body)) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}}), (status, body)
    for status, body, headers in [
        (401, ping, {"Authorization": "Bearer kt_000000000000_00"}), (401, ping, {"Authorization": ""}), (403, ping, {"Origin": "https://example.org"}), (415, ping, {"Content-Type": "text/plain"}),
        (406, ping, {"Accept": "text/html"}), (400, ping, {"MCP-Protocol-Version": "1999-01-01"}), (400, b"{", {}), (400, b"[]", {}), (400, b'{"jsonrpc":"1.0","id":1,"method":"ping"}', {}),
        (400, b'{"jsonrpc":"2.0","id":1,"result":{}}', {}), (202, b'{"jsonrpc":"2.0","method":"notifications/initialized"}', {}), (413, b'"' + b"x" * (2 << 20) + b'"', {}),
    ]:
        got = post(body, **headers)
        assert got[0] == status, (status, body[:80], headers, got)
    for method in ["GET", "DELETE"]:
        try:
            urllib.request.urlopen(urllib.request.Request(URL, headers={"Authorization": "Bearer " + TOKEN}, method=method), timeout=30)
            sys.exit(f"{method} was answered")
        except urllib.error.HTTPError as error:
            assert error.code == 405, (method, error.code)
    # The bound is the user's, and not a connection's.
    refused = 0
    for _ in range(3):
        async with opened(TOKEN) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            for _ in range(CALLS // 2):
                refused += (await session.call_tool("coverage", {})).isError
    assert refused >= CALLS // 2, f"{refused} calls were refused"


asyncio.run(main())
