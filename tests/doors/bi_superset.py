"""Apache Superset, without a browser: a connection to the PostgreSQL door, its tables as datasets, SQL Lab, charts; each answer is the command line's.

It runs in Superset's own Python. What Superset keeps of itself lies in a new folder, begun from `superset.db` beside its `bin` where `.ci/run` has prepared
one (its 300 migrations take most of a minute).
"""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from answers import POSTGRES_PORT, TOKEN, cli, rows

installed = pathlib.Path(sys.executable).parent
home = tempfile.TemporaryDirectory(prefix="keytrail-superset-")
os.environ.update(SUPERSET_HOME=home.name, SUPERSET_CONFIG_PATH=str(pathlib.Path(__file__).with_name("superset_config.py").resolve()), FLASK_APP="superset.app:create_app()")
if (prepared := installed.parent / "superset.db").exists():
    shutil.copy(prepared, home.name)
else:
    for step in [("db", "upgrade"), ("init",)]:
        subprocess.run([installed / "superset", *step], check=True, capture_output=True)

from superset.app import create_app  # noqa: E402 (its configuration is found through the environment)

app = create_app()
with app.app_context():
    from superset.extensions import security_manager

    security_manager.add_user("ann", "Ann", "Analyst", "ann@example.org", security_manager.find_role("Admin"), "of this test")
client = app.test_client()
HEADERS = {}


def call(method, path, status, body=None):
    answer = client.open(path, method=method, json=body, headers=HEADERS)
    assert answer.status_code == status, (method, path, body, answer.status_code, answer.get_data(as_text=True)[:2000])
    return answer.json


def seen(records):
    """Rows as Superset shows them; its times are ISO 8601 with an offset in SQL Lab."""
    iso = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)\+00:00$")
    return rows({name: iso.sub(r"\1Z", value) if isinstance(value, str) else value for name, value in record.items()} for record in records)


def sql(statement):
    return cli("sql", statement)[0]


HEADERS["Authorization"] = "Bearer " + call("POST", "/api/v1/security/login", 200, {"username": "ann", "password": "of this test", "provider": "db"})["access_token"]

# A connection. A wrong token is refused, and says what the password is.
uri = "postgresql+psycopg2://ann:{}@127.0.0.1:" + f"{POSTGRES_PORT}/keytrail"
connection = {"database_name": "keytrail", "sqlalchemy_uri": uri.format(TOKEN)}
refused = client.post("/api/v1/database/test_connection/", json={**connection, "sqlalchemy_uri": uri.format("kt_000000000000_00")}, headers=HEADERS)
assert refused.status_code >= 400, refused.get_data(as_text=True)
call("POST", "/api/v1/database/test_connection/", 200, connection)
database = call("POST", "/api/v1/database/", 201, {**connection, "expose_in_sqllab": True})["id"]

# What there is.
assert "public" in call("GET", f"/api/v1/database/{database}/schemas/", 200)["result"]
listed = {table["value"]: table["type"] for table in call("GET", f"/api/v1/database/{database}/tables/?q=(schema_name:public)", 200)["result"]}
assert listed["events"] == "table" and listed["findings"] == "view" and "touches" in listed, listed
columns = {column["name"]: column["type"] for column in call("GET", f"/api/v1/database/{database}/table_metadata/?name=events&schema=public", 200)["columns"]}
assert columns["time"] == "TIMESTAMP" and columns["identity"] == "TEXT", columns
datasets = {}
for table, time in [("events", "time"), ("findings", "time")]:
    made = call("POST", "/api/v1/dataset/", 201, {"database": database, "schema": "public", "table_name": table})
    datasets[table] = made["id"]
    assert [column["is_dttm"] for column in made["data"]["columns"] if column["column_name"] == time] == [True], made


# SQL Lab, which writes statements anew before it sends them (names of functions in capitals).
def lab(statement, status=200):
    return call("POST", "/api/v1/sqllab/execute/", status, {"database_id": database, "sql": statement, "schema": "public", "client_id": os.urandom(5).hex(), "queryLimit": 1000, "runAsync": False})


for statement in [
    "SELECT * FROM touched('svc-deploy')",
    "SELECT destination, SUM(count) AS n, MAX(last) AS last FROM touched('svc-deploy', '-3d') WHERE outcome = 'success' GROUP BY destination",
    "SELECT event_id, time, ingested_at, identity, outcome, reason FROM events WHERE event_id < '04' OR outcome = 'denied'",
    "SELECT rule, severity, count(*) AS n, max(time) AS newest FROM findings GROUP BY rule, severity",
]:
    got = seen(lab(statement)["data"])
    assert got == sql(statement) and got, f"{statement} has another answer in SQL Lab: {got[:2]} and {sql(statement)[:2]}"
assert "svc-deploy" in json.dumps(lab("SELECT * FROM touched('svc-deplyo')", 500)), "the nearest names are told"
assert "identiti" in json.dumps(lab("SELECT identiti FROM events", 500))


# Charts.
def chart(table, **query):
    body = {"datasource": {"id": datasets[table], "type": "table"}, "queries": [query], "result_format": "json", "result_type": "full", "force": True}
    return call("POST", "/api/v1/chart/data", 200, body)["result"][0]["data"]


def timed(records, column="time"):
    """A chart's times are milliseconds."""
    of = lambda value: datetime.datetime.fromtimestamp(value / 1000, datetime.timezone.utc)
    return rows({name: of(value) if name == column else value for name, value in record.items()} for record in records)


count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "n"}
places = {"expressionType": "SIMPLE", "aggregate": "COUNT_DISTINCT", "column": {"column_name": "destination"}, "label": "places"}
got = rows(chart("events", columns=["identity"], metrics=[count, places], orderby=[[count, False]], row_limit=1000))
assert got == sql("SELECT identity, count(*) AS n, count(DISTINCT destination) AS places FROM events GROUP BY identity") and len(got) > 10
newest = datetime.datetime.fromisoformat(sql("SELECT max(time) AS t FROM events")[0]["t"])
since, until = ((newest - datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:00:00") for hours in (36, 2))
within = f"time >= '{since}Z' AND time < '{until}Z'"
for grain, own in [("P1W", "date_trunc('week', time)"), ("P1D", "date_trunc('day', time)"), ("PT1H", "date_trunc('hour', time)"), ("PT15M", "date_bin('15 minutes', time)"), ("PT5M", "date_bin('5 minutes', time)"), ("PT30S", "date_bin('30 seconds', time)"), ("P1M", "date_trunc('month', time)")]:
    axis = {"columnType": "BASE_AXIS", "sqlExpression": "time", "label": "time", "expressionType": "SQL", "timeGrain": grain}
    got = timed(chart("events", columns=[axis, "identity"], metrics=[count], granularity="time", time_range=f"{since} : {until}", extras={"time_grain_sqla": grain}, row_limit=50000))
    expected = sql(f"SELECT {own} AS time, identity, count(*) AS n FROM events WHERE {within} GROUP BY 1, 2")
    assert got == expected and got, f"by {grain}: {len(got)} rows, and {len(expected)}; {got[:2]} {expected[:2]}"
filters = [{"col": "outcome", "op": "IN", "val": ["success", "denied"]}, {"col": "identity", "op": "ILIKE", "val": "%SVC%"}, {"col": "destination", "op": "IS NOT NULL"}]
got = rows(chart("events", columns=["outcome"], metrics=[count], filters=filters, row_limit=100))
assert got == sql("SELECT outcome, count(*) AS n FROM events WHERE outcome IN ('success', 'denied') AND identity ILIKE '%svc%' AND destination IS NOT NULL GROUP BY outcome") and got
series = chart("events", columns=["identity"], metrics=[count], granularity="time", is_timeseries=True, extras={"time_grain_sqla": "P1D"}, series_columns=["identity"], series_limit=3, series_limit_metric=count, row_limit=1000)
best = {row["identity"] for row in sql("SELECT identity, count(*) AS n FROM events GROUP BY identity ORDER BY n DESC LIMIT 3")}
assert {row["identity"] for row in series} == best, (series, best)
got = timed(chart("findings", columns=["identity", "rule", "time"], metrics=[], row_limit=1000))
assert got == sql("SELECT DISTINCT identity, rule, time FROM findings") and got
assert chart("findings", columns=[], metrics=[], row_limit=5, result_type="samples"), "the rows behind a chart"
print("superset", __import__("importlib.metadata").metadata.version("apache-superset"))
