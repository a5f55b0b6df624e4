"""The same questions asked of DuckDB and chDB over the files of the same lake, in the same run: called by `benches/touched.rs`.

    pip install duckdb chdb deltalake
    python touched.py LAKE ROUNDS [bytes] < questions.json

Reads `[{"label": …, "kind": "touched" | "timeline" | "blast_radius", "column": "identity" | "destination", "value": …, "from": microseconds | null}, …]`, and writes for each question and engine
the median of the rounds in milliseconds, the processor time of a round, how many rows the answer has, and how many events they count; and, where asked for, how many bytes an event takes. Three ways: events as Parquet, as keytrail's
own question reads them without its roll-up; the roll-up as Parquet (whole history only, for questions without a period); and ClickHouse's own format,
sorted by the column that is asked for.
"""

import json
import os
import resource
import statistics
import sys
import time

KEY = "identity, destination, credential, protocol, action, outcome, identity_kind"


def processor_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def timed(rounds, ask):
    """`ask` gives the rows of the answer and the events that they count."""
    rows, events = ask()
    took, before = [], processor_ms()
    for _ in range(rounds):
        begun = time.perf_counter()
        assert ask() == (rows, events)
        took.append((time.perf_counter() - begun) * 1e3)
    return {"p50_ms": statistics.median(took), "processor_ms": (processor_ms() - before) / rounds, "rows": rows, "events": events}


def files(lake, table):
    from deltalake import DeltaTable

    return [os.path.join(lake, table, path) for path in DeltaTable(os.path.join(lake, table)).files()] if hasattr(DeltaTable, "files") else [
        uri.removeprefix("file://") for uri in DeltaTable(os.path.join(lake, table)).file_uris()
    ]


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def main():
    lake, rounds = sys.argv[1], int(sys.argv[2])
    questions = json.load(sys.stdin)
    events = files(lake, "events")
    touches = {"identity": files(lake, "touches"), "destination": files(lake, "touches_by_destination")}
    results = []

    import duckdb

    duck = duckdb.connect()
    duck.execute(f"SET threads = {os.cpu_count()}")
    try:
        duck.execute("SET parquet_metadata_cache = true")
    except duckdb.Error:
        pass

    def duck_rows(sql, count):
        def ask():
            rows = duck.execute(sql).fetchall()
            return len(rows), 0 if count is None else int(sum(row[count] for row in rows))

        return ask

    def duck_events(question):
        since = f" AND time >= make_timestamptz({question['from']})" if question["from"] is not None else ""
        sql = (
            f"SELECT {KEY}, count(*), count(*) FILTER (outcome IN ('failure', 'denied')), min(time), max(time) FROM read_parquet({events})"
            f" WHERE {question['column']} = {quoted(question['value'])} AND destination IS NOT NULL{since} GROUP BY ALL"
        )
        return duck_rows(sql, 7)

    def duck_touches(question):
        sql = (
            f"SELECT {KEY}, sum(count), min(first), max(last) FROM read_parquet({touches[question['column']]})"
            f" WHERE {question['column']} = {quoted(question['value'])} AND destination IS NOT NULL GROUP BY ALL"
        )
        return duck_rows(sql, 7)

    import chdb.session

    chdb_session = chdb.session.Session()

    def ch(sql, count):
        def ask():
            rows = chdb_session.query(sql, "TabSeparated").bytes().split(b"\n")[:-1]
            return len(rows), 0 if count is None else sum(int(row.split(b"\t")[count]) for row in rows)

        return ask

    def ch_since(question):
        return f" AND time >= fromUnixTimestamp64Micro({question['from']}, 'UTC')" if question["from"] is not None else ""

    def ch_sql(relation, question):
        return (
            f"SELECT {KEY}, count() AS c, countIf(outcome IN ('failure', 'denied')) AS f, min(time) AS a, max(time) AS b FROM {relation}"
            f" WHERE {question['column']} = {quoted(question['value'])} AND destination IS NOT NULL{ch_since(question)} GROUP BY ALL"
        )

    def ch_files(paths):
        """ClickHouse takes alternatives within one part of a path: no two files have the same name, so folders may be any."""
        if len(paths) == 1:
            return f"file('{paths[0]}', 'Parquet')"
        folder = os.path.commonpath(paths)
        between = "/*" * (paths[0].removeprefix(folder).count("/") - 1)
        return f"file('{folder}{between}/{{{','.join(os.path.basename(path) for path in paths)}}}', 'Parquet')"

    def timeline(relation, question, since):
        return (
            f"SELECT time, activity, outcome, identity, credential, destination, protocol, action, source_ip, event_id, reason FROM {relation}"
            f" WHERE identity = {quoted(question['value'])}{since} ORDER BY time, event_id"
        )

    def blast_radius(relation, question, failed):
        """Three hops: what the identity touched, what was touched with credentials that were obtained with its own, and once more."""
        name = quoted(question["value"])
        hop = (
            "SELECT {n} AS hop, identity, credential, max(credential_parent) AS via, destination, max(environment) AS environment, count(*) AS n,"
            f" {failed} AS s, min(time) AS a, max(time) AS b FROM {relation} WHERE destination IS NOT NULL AND {{whose}} GROUP BY identity, credential, destination"
        )
        # No `format`: a list of files has braces of its own.
        def of(number, whose):
            return hop.replace("{n}", number).replace("{whose}", whose)

        return (
            f"WITH c1 AS (SELECT DISTINCT credential FROM {relation} WHERE identity = {name} AND credential IS NOT NULL),"
            f" c2 AS (SELECT DISTINCT credential FROM {relation} WHERE credential_parent IN (SELECT credential FROM c1) AND credential NOT IN (SELECT credential FROM c1)),"
            f" c3 AS (SELECT DISTINCT credential FROM {relation} WHERE credential_parent IN (SELECT credential FROM c2)"
            " AND credential NOT IN (SELECT credential FROM c1) AND credential NOT IN (SELECT credential FROM c2)) "
            + of("1", f"identity = {name}")
            + " UNION ALL "
            + of("2", "credential IN (SELECT credential FROM c2)")
            + " UNION ALL "
            + of("3", "credential IN (SELECT credential FROM c3)")
        )

    # ClickHouse's own format, a copy sorted for each of the two questions.
    own = {}
    for column in sorted({question["column"] for question in questions}):
        name = f"by_{column}"
        chdb_session.query("CREATE DATABASE IF NOT EXISTS k ENGINE = Atomic")
        chdb_session.query(
            f"CREATE TABLE k.{name} ENGINE = MergeTree ORDER BY ({column}, time) SETTINGS allow_nullable_key = 1 AS SELECT identity, destination, credential,"
            f" protocol, action, outcome, identity_kind, time FROM {ch_files(events)}"
        )
        chdb_session.query(f"OPTIMIZE TABLE k.{name} FINAL")
        own[column] = f"k.{name}"

    for question in questions:
        since = f" AND time >= make_timestamptz({question['from']})" if question["from"] is not None else ""
        if question["kind"] == "timeline":
            ways = [
                ("DuckDB, events as Parquet", duck_rows(timeline(f"read_parquet({events})", question, since), None)),
                ("chDB, events as Parquet", ch(timeline(ch_files(events), question, ch_since(question)), None)),
            ]
        elif question["kind"] == "blast_radius":
            duck_sql = blast_radius(f"read_parquet({events})", question, "count(*) FILTER (outcome NOT IN ('failure', 'denied'))")
            ch_sql_ = blast_radius(ch_files(events), question, "countIf(outcome NOT IN ('failure', 'denied'))")
            ways = [("DuckDB, events as Parquet", duck_rows(duck_sql, 6)), ("chDB, events as Parquet", ch(ch_sql_, 6))]
        else:
            ways = [
                ("DuckDB, events as Parquet", duck_events(question)),
                ("chDB, events as Parquet", ch(ch_sql(ch_files(events), question), 7)),
                ("chDB, ClickHouse's own format sorted for it", ch(ch_sql(own[question["column"]], question), 7)),
            ]
            if question["from"] is None and touches[question["column"]]:
                ways.append(("DuckDB, the roll-up as Parquet", duck_touches(question)))
        for engine, ask in ways:
            results.append({"label": question["label"], "engine": engine, **timed(rounds, ask)})
    # What an event takes: keytrail's files as they are, and the same columns in ClickHouse's own format, sorted by identity.
    size = None
    if "bytes" in sys.argv[3:]:
        chdb_session.query(
            f"CREATE TABLE k.whole ENGINE = MergeTree ORDER BY (identity, time) SETTINGS allow_nullable_key = 1 AS SELECT * FROM {ch_files(events)}"
        )
        chdb_session.query("OPTIMIZE TABLE k.whole FINAL")
        parts = chdb_session.query("SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND database = 'k' AND table = 'whole'", "TabSeparated")
        taken, rows = (int(number) for number in parts.bytes().split())
        size = {"files": sum(os.path.getsize(path) for path in events) / rows, "clickhouse": taken / rows, "rows": rows}
    versions = {"duckdb": duckdb.__version__, "chdb": __import__("chdb").__version__}
    json.dump({"versions": versions, "results": results, "bytes_an_event": size}, sys.stdout)


main()
