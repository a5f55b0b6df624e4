"""Runs keytrail's views in DuckDB, chDB, Spark or Trino and prints the answer of each question as sorted tab-separated rows, for `tests/query/views.rs`.

Standard input: {"dialect": "duckdb" | "clickhouse" | "spark" | "trino", "runs": [{"lake": FOLDER, "views": SQL, "asks": [{"name", "value", "since", "until"}, …]}, …]}

Spark's jars (delta-spark, delta-storage, antlr4-runtime) lie in the folder KEYTRAIL_SPARK_JARS; Trino's server in KEYTRAIL_TRINO, and the Java that it runs on in
KEYTRAIL_TRINO_JAVA.
"""

import datetime
import glob
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

TOUCH = "identity destination credential credential_age_days:number credential_age_is_exact:bool protocol action outcome count:int failures:int first:time last:time first_ever:bool identity_kind"
TIMELINE = "time:time activity outcome identity credential destination protocol action source_ip event_id finding_ids:list origin detail"
POSTURE = "problem identity credential kind age_days:number detail last_used:time owasp_nhi nist_800_53 nist_csf pci_dss iso_27001 iec_62443"
COLUMNS = {
    name: [(column.split(":") + ["text"])[:2] for column in columns.split()]
    for name, columns in {"touched": TOUCH, "who_touched": TOUCH, "timeline": TIMELINE, "posture": POSTURE}.items()
}


def statements(text):
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part for part in "\n".join(lines).removesuffix(";").split(";\n") if part.strip()]


def projected(name, quote, forms):
    """The question's columns in forms that every engine prints alike."""
    return ", ".join(forms.get(kind, "{}").format(quote + column + quote) for column, kind in COLUMNS[name])


def cell(value, kind):
    if value is None or value in ("\\N", "NULL"):
        return "NULL"
    if kind == "bool":
        return "true" if value in (True, 1, "true") else "false"
    if kind == "number":
        return f"{float(value):.6f}"
    if kind == "list" and not isinstance(value, str):
        return ",".join(value)
    if kind == "time" and isinstance(value, str):
        at = datetime.datetime.fromisoformat(value.removesuffix(" UTC")).replace(tzinfo=datetime.timezone.utc)
        return str(int(at.timestamp() * 1000 + 0.5) * 1000)
    return str(value)


def duckdb_rows(runs):
    import duckdb

    for asked in runs:
        yield from duckdb_run(duckdb.connect(), asked)


def duckdb_run(connection, asked):
    connection.execute("SET TimeZone = 'UTC'")
    if "delta_scan" in asked["views"]:
        import duckdb_extensions

        duckdb_extensions.import_extension("delta", con=connection)
    for statement in statements(asked["views"]):
        connection.execute(statement)
    forms = {"time": "epoch_us({})", "list": "array_to_string({}, ',')", "int": "CAST({} AS BIGINT)"}
    for ask in asked["asks"]:
        bound = lambda text: f"TIMESTAMPTZ '{text}'" if text else "NULL"
        value = ask["value"].replace("'", "''")
        arguments = f"'{value}', since := {bound(ask['since'])}, until := {bound(ask['until'])}" if ask["value"] else ""
        yield ask, connection.execute(f"SELECT {projected(ask['name'], chr(34), forms)} FROM {ask['name']}({arguments})").fetchall()


def clickhouse_rows(runs):
    from chdb.session import Session

    session = Session()
    session.query("CREATE DATABASE IF NOT EXISTS keytrail ENGINE = Atomic")
    session.query("USE keytrail")
    for asked in runs:
        yield from clickhouse_run(session, asked)


def clickhouse_run(session, asked):
    for statement in statements(asked["views"]):
        session.query(statement)
    forms = {"time": "toUnixTimestamp64Micro({})", "list": "arrayStringConcat({}, ',')", "int": "toInt64({})"}
    for ask in asked["asks"]:
        bound = lambda text: f"'{text.replace('T', ' ').replace('Z', '')}'" if text else "NULL"
        value = ask["value"].replace("\\", "\\\\").replace("'", "''")
        arguments = f"(value='{value}', since={bound(ask['since'])}, until={bound(ask['until'])})" if ask["value"] else ""
        said = session.query(f"SELECT {projected(ask['name'], '`', forms)} FROM {ask['name']}{arguments}", "JSONCompactEachRow")
        yield ask, [json.loads(line) for line in said.bytes().decode().splitlines()]


def spark_rows(runs):
    from pyspark.sql import SparkSession

    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    scratch = tempfile.TemporaryDirectory()
    jars = ",".join(glob.glob(os.environ["KEYTRAIL_SPARK_JARS"] + "/*.jar"))
    settings = {
        "spark.jars": jars,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": scratch.name,
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for asked in runs:
        yield from spark_run(spark, asked)
    spark.stop()
    scratch.cleanup()


def spark_run(spark, asked):
    for statement in statements(asked["views"]):
        spark.sql(statement)
    forms = {"time": "unix_micros({})", "list": "array_join({}, ',')"}
    for ask in asked["asks"]:
        bound = lambda text: f"TIMESTAMP '{text}'" if text else "NULL"
        value = ask["value"].replace("\\", "\\\\").replace("'", "\\'")
        arguments = f"'{value}', {bound(ask['since'])}, {bound(ask['until'])}" if ask["value"] else ""
        yield ask, spark.sql(f"SELECT {projected(ask['name'], '`', forms)} FROM {ask['name']}({arguments})").collect()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Trino:
    """A server over the lakes' folders, `local:///0` and so on, and a session of its HTTP protocol."""

    def __init__(self, lakes):
        self.folder, port = tempfile.TemporaryDirectory(), free_port()
        home, server = Path(self.folder.name), Path(os.environ["KEYTRAIL_TRINO"])
        (home / "etc/catalog").mkdir(parents=True)
        catalog = "connector.name=delta_lake\nhive.metastore=file\nhive.metastore.catalog.dir=local:///_metastore\nfs.native-local.enabled=true\n"
        # The lake is read as it lies; what the catalog writes lies beside it.
        view = home / "tables"
        view.mkdir()
        for number, lake in enumerate(lakes):
            (view / str(number)).symlink_to(lake)
        (home / "etc/catalog/delta.properties").write_text(f"{catalog}local.location={view}\ndelta.register-table-procedure.enabled=true\n")
        config = f"coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\nplugin.dir={server}/plugin\n"
        (home / "etc/config.properties").write_text(config + "catalog.config-dir=etc/catalog\nquery.max-memory=512MB\nquery.max-memory-per-node=256MB\nmemory.heap-headroom-per-node=256MB\n")
        (home / "etc/node.properties").write_text(f"node.environment=tests\nnode.data-dir={home}/data\nnode.internal-address=127.0.0.1\n")
        command = [os.environ.get("KEYTRAIL_TRINO_JAVA", "java"), "-Xmx1500m", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8", "--add-modules=jdk.incubator.vector"]
        command += ["-Dnode.environment=tests", f"-Dnode.data-dir={home}/data", f"-Dconfig={home}/etc/config.properties", "-cp", f"{server}/lib/*", "io.trino.server.TrinoServer"]
        self.log = open(home / "log", "w+")
        self.process = subprocess.Popen(command, cwd=home, stdout=self.log, stderr=self.log)
        self.url, self.prepared = f"http://127.0.0.1:{port}", {}
        until = time.monotonic() + 240
        while True:
            try:
                if not json.load(urllib.request.urlopen(self.url + "/v1/info", timeout=5))["starting"]:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                sys.exit("Trino does not answer: " + self.log.read()[-4000:])
            time.sleep(0.3)

    def query(self, sql):
        headers = {"X-Trino-User": "tests", "X-Trino-Catalog": "delta", "X-Trino-Time-Zone": "UTC"}
        if self.prepared:
            headers["X-Trino-Prepared-Statement"] = ",".join(f"{name}={value}" for name, value in self.prepared.items())
        request, rows = urllib.request.Request(self.url + "/v1/statement", sql.encode(), headers), []
        while True:
            try:
                answer = urllib.request.urlopen(request, timeout=120)
            except urllib.error.HTTPError as refused:
                sys.exit(f"{sql}: {refused.status} {refused.read()[:1000]}")
            name, _, value = (answer.headers.get("X-Trino-Added-Prepare") or "").partition("=")
            if name:
                self.prepared[name] = value
            said = json.load(answer)
            if "error" in said:
                sys.exit(f"{sql}: {said['error']['message']}")
            rows += said.get("data") or []
            if "nextUri" not in said:
                return rows
            request = urllib.request.Request(said["nextUri"], headers=headers)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def trino_rows(runs):
    trino = Trino([asked["lake"] for asked in runs])
    try:
        trino.query("CREATE SCHEMA delta.keytrail WITH (location = 'local:///_keytrail')")
        for number, asked in enumerate(runs):
            yield from trino_run(trino, number, asked)
    finally:
        trino.stop()


def trino_run(trino, number, asked):
    tables = [table for table in ("events", "credentials", "identities", "findings") if f"table_name => '{table}'" in asked["views"]]
    for table in tables:
        trino.query(f"CALL delta.system.register_table(schema_name => 'keytrail', table_name => '{table}', table_location => 'local:///{number}/{table}')")
    for statement in statements(asked["views"]):
        trino.query(statement)
    for ask in asked["asks"]:
        bound = lambda text: f"TIMESTAMP '{text.replace('T', ' ').replace('Z', ' UTC')}'" if text else "NULL"
        value = ask["value"].replace("'", "''")
        arguments = f" USING '{value}', {bound(ask['since'])}, {bound(ask['until'])}" if ask["value"] else ""
        yield ask, trino.query(f"EXECUTE {ask['name']}{arguments}")
    for table in tables:
        trino.query(f"CALL delta.system.unregister_table(schema_name => 'keytrail', table_name => '{table}')")


asked = json.load(sys.stdin)
rows_of = {"duckdb": duckdb_rows, "clickhouse": clickhouse_rows, "spark": spark_rows, "trino": trino_rows}[asked["dialect"]]
answers = []
for ask, rows in rows_of(asked["runs"]):
    kinds = [kind for _, kind in COLUMNS[ask["name"]]]
    answers.append(sorted("\t".join(cell(value, kind) for value, kind in zip(row, kinds)) for row in rows))
json.dump(answers, sys.stdout)
