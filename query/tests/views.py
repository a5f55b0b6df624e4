"""Runs keytrail's views in DuckDB or chDB and prints the answer of each question as sorted tab-separated rows, for `tests/query/views.rs`.

Standard input: {"dialect": "duckdb" | "clickhouse", "views": SQL, "asks": [{"name", "value", "since", "until"}, …]}
"""

import json
import sys

COLUMNS = "identity, destination, credential, credential_age_days, credential_age_is_exact, protocol, action, outcome, count, failures, first, last, first_ever, identity_kind"


def statements(text):
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part for part in "\n".join(lines).split(";\n") if part.strip()]


def cell(value):
    if value is None or value in ("\\N", "NULL"):
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def duckdb_rows(asked):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for statement in statements(asked["views"]):
        connection.execute(statement)
    for ask in asked["asks"]:
        bound = lambda text: f"TIMESTAMPTZ '{text}'" if text else "NULL"
        value = ask["value"].replace("'", "''")
        rows = connection.execute(
            f"SELECT identity, destination, credential, round(credential_age_days, 6), credential_age_is_exact, protocol, action, outcome, CAST(count AS BIGINT),"
            f" CAST(failures AS BIGINT), epoch_us(first), epoch_us(last), first_ever, identity_kind"
            f" FROM {ask['name']}('{value}', since := {bound(ask['since'])}, until := {bound(ask['until'])})"
        ).fetchall()
        yield [[cell(value) for value in row] for row in rows]


def clickhouse_rows(asked):
    from chdb.session import Session

    session = Session()
    session.query("CREATE DATABASE IF NOT EXISTS keytrail ENGINE = Atomic")
    session.query("USE keytrail")
    for statement in statements(asked["views"]):
        session.query(statement)
    for ask in asked["asks"]:
        bound = lambda text: f"'{text.replace('T', ' ').replace('Z', '')}'" if text else "NULL"
        value = ask["value"].replace("\\", "\\\\").replace("'", "''")
        said = session.query(
            f"SELECT identity, destination, credential, round(credential_age_days, 6), if(credential_age_is_exact IS NULL, NULL, if(credential_age_is_exact, 'true', 'false')),"
            f" protocol, action, outcome, toInt64(count), toInt64(failures), toUnixTimestamp64Micro(first), toUnixTimestamp64Micro(last),"
            f" if(first_ever, 'true', 'false'), identity_kind"
            f" FROM {ask['name']}(value='{value}', since={bound(ask['since'])}, until={bound(ask['until'])})",
            "JSONCompactEachRow",
        ).bytes().decode()
        yield [[cell(value) for value in json.loads(line)] for line in said.splitlines()]


def number(text):
    return f"{float(text):.6f}" if text != "NULL" else text


asked = json.load(sys.stdin)
rows_of = {"duckdb": duckdb_rows, "clickhouse": clickhouse_rows}[asked["dialect"]]
answers = []
for rows in rows_of(asked):
    for row in rows:
        row[3] = number(row[3])
    answers.append(sorted("\t".join(row) for row in rows))
json.dump(answers, sys.stdout)
