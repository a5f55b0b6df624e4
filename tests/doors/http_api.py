"""HTTP: formats, errors, scopes, and the same rows as the command line."""
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq

from answers import HTTP, TOKEN, ask, cli, http, rows

# The same through the command line.
for verb, question, arguments in [
    (["touched", "svc-deploy"], "touched", {"identity": "svc-deploy"}),
    (["findings"], "findings", {}),
    (["posture"], "posture", {}),
    (["blast-radius", "svc-deploy"], "blast_radius", {"identity_or_credential": "svc-deploy"}),
]:
    told, note = cli(*verb)
    assert told and told == ask(question, **arguments), verb
    assert "coverage" in note.lower(), note

# Every format holds the same rows, and its coverage line where it has a place for one.
wanted = ask("touched", identity="svc-deploy")
status, headers, body = http("/v1/touched", identity="svc-deploy", format="ndjson")
assert status == 200 and headers.get_content_type() == "application/x-ndjson"
assert rows(map(json.loads, body.splitlines())) == wanted
status, headers, body = http("/v1/touched", identity="svc-deploy", format="arrow")
table = pa.ipc.open_stream(body).read_all()
assert rows(table.to_pylist()) == wanted and table.schema.metadata[b"keytrail.coverage"]
status, headers, body = http("/v1/touched", identity="svc-deploy", format="parquet")
table = pq.read_table(io.BytesIO(body))
assert rows(table.to_pylist()) == wanted and b"keytrail.coverage" in pq.read_metadata(io.BytesIO(body)).metadata
status, headers, body = http("/v1/touched", identity="svc-deploy", format="csv")
assert len(body.decode().splitlines()) == len(wanted) + 1

# A formula in a value does not reach a spreadsheet as one.
status, _, body = http("/v1/sql?format=csv", body={"sql": "SELECT '=1+1' AS a, '@x' AS b, -1 AS c"})
assert (status, body) == (200, b"a,b,c\n'=1+1,'@x,-1\n"), body

# Wrong questions: a status, a word, and what to do.
for path, arguments, status, code in [
    ("/v1/touched", {"identity": "svc-deplyo"}, 404, "unknown_name"),
    ("/v1/touched", {"identity": "svc-"}, 409, "ambiguous_name"),
    ("/v1/touched", {}, 400, "bad_arguments"),
    ("/v1/touched", {"identity": "svc-deploy", "from": "soon"}, 400, "bad_time"),
    ("/v1/touched", {"identity": "svc-deploy", "from": "-1d", "to": "-2d"}, 400, "bad_time"),
    ("/v1/touched", {"identity": "svc-deploy", "format": "xml"}, 400, "bad_request"),
    ("/v1/nothing", {}, 404, "unknown_name"),
    ("/v2", {}, 404, "not_found"),
    # Injection: a name is a name, whatever is in it.
    ("/v1/touched", {"identity": "x' OR '1'='1"}, 404, "unknown_name"),
    ("/v1/touched", {"identity": "x'); DROP TABLE events; --"}, 404, "unknown_name"),
    ("/v1/findings", {"rule": "x' OR 'a'='a"}, 200, None),
    ("/v1/explain/x'%20OR%201=1", {}, 404, "unknown_name"),
]:
    got, _, body = http(path, **arguments)
    assert got == status and (code is None or json.loads(body)["error"]["code"] == code), (path, arguments, got, body)
    if path == "/v1/findings":
        assert json.loads(body)["rows"] == [], "a filter is compared and not executed"
assert "svc-deploy" in str(json.loads(http("/v1/touched", identity="svc-deplyo")[2])["error"]["names"])

for statement, status, code in [
    ("INSERT INTO events SELECT * FROM events", 400, "read_only"),
    ("COPY events TO '/tmp/x.csv'", 400, "read_only"),
    ("SET datafusion.execution.batch_size = 1", 400, "read_only"),
    ("SELECT 1; SELECT 2", 400, "bad_sql"),
    ("SELECT identiti FROM events", 400, "bad_sql"),
    ("SELECT * FROM '/etc/passwd'", 400, "bad_sql"),
    ("SELECT count(*) FROM events a, events b, events c", 422, "time_limit"),
]:
    got, _, body = http("/v1/sql", body={"sql": statement})
    assert got == status and json.loads(body)["error"]["code"] == code, (statement, got, body)
assert "identity" in json.loads(http("/v1/sql", body={"sql": "SELECT identiti FROM events"})[2])["error"]["message"], "the nearest column is named"

# Nothing but health without a token.
assert http("/health", token="")[0] == 200
for path in ["/openapi.json", "/v1/posture", "/v1/live", "/v1/tokens", "/console", "/nothing"]:
    for token in ["", "kt_000000000000_00", TOKEN[:-1] + ("0" if TOKEN[-1] != "0" else "1")]:
        assert http(path, token=token)[0] == 401, (path, token)

# Scopes: this one asks touched and nothing else, in SQL neither.
scoped = os.environ["DOOR_SCOPED"]
assert http("/v1/touched", token=scoped, identity="svc-deploy")[0] == 200
assert http("/v1/posture", token=scoped)[0] == 403
assert http("/v1/sql", token=scoped, body={"sql": "SELECT 1"})[0] == 403
# An analyst does not see who asked what; an auditor does.
assert http("/v1/sql", body={"sql": "SELECT * FROM queries"})[0] == 403
assert http("/v1/sql", body={"sql": "SELECT (SELECT count(*) FROM queries)"})[0] == 403
assert http("/v1/tokens")[0] == 403
assert http("/v1/tokens", token=os.environ["DOOR_ADMIN"])[0] == 200
print("http", HTTP, len(wanted), "rows of touched in every format")
