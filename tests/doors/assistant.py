"""An MCP client from the registries calls every tool; the same rows as HTTP."""
import asyncio
import json

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from answers import DIR, KEYTRAIL, ask, http, rows


async def main():
    server = StdioServerParameters(command=KEYTRAIL, args=["--dir", DIR, "mcp"], env={"USER": "assistant"})
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = (await session.list_tools()).tools
        names = {tool.name for tool in tools}
        assert {"touched", "findings", "explain", "sql", "posture", "coverage"} <= names, names
        assert all(tool.annotations.readOnlyHint for tool in tools)
        finding = json.loads(http("/v1/findings")[2])["rows"][0]
        credential = next(row["credential"] for row in ask("credentials", who="all") if row["credential"])
        values = {
            "identity": "svc-deploy", "destination": ask("touched", identity="svc-deploy")[0]["destination"], "credential": credential, "finding": finding["finding_id"],
            "identity_or_credential": "svc-deploy", "credential_or_identity": "svc-deploy", "dimension": "destination", "sql": "SELECT count(*) AS n FROM events",
        }
        for tool in tools:
            arguments = {name: values[name] for name in tool.inputSchema["required"]}
            answer = await session.call_tool(tool.name, arguments)
            text = answer.content[0].text
            assert not answer.isError and text.strip(), (tool.name, text)
            assert "coverage" in text.splitlines()[-1].lower(), (tool.name, text[-300:])
        text = (await session.call_tool("posture", {})).content[0].text
        got = rows(json.loads(line) for line in text.splitlines() if line.startswith("{"))
        assert got == ask("posture") or len(got) == 200, "posture through MCP is not posture through HTTP"
        for name, arguments, told in [
            ("touched", {"identity": "svc-deplyo"}, "nearest"), ("touched", {}, "identity is missing"), ("touched", {"identity": "a", "x": 1}, "takes no argument"),
            ("sql", {"sql": "DROP TABLE events"}, "only read"), ("nothing", {}, "no question matches"),
        ]:
            answer = await session.call_tool(name, arguments)
            assert answer.isError and told in answer.content[0].text, (name, answer.content)
        refused = 0
        for _ in range(60):
            refused += (await session.call_tool("sql", {"sql": "SELECT 1"})).isError
        assert refused, "there is no bound on calls"
    print("mcp", len(tools), "tools")


asyncio.run(main())
