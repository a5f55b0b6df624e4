"""pgJDBC: what a Java program, DBeaver or Metabase sees: metadata, parameters, fetch sizes, cancel, time-outs; the same rows as HTTP. The JVM runs inside Python (JPype)."""
import os
import sys
import threading
import time

import jpype
import jpype.imports

from answers import POSTGRES_PORT, QUESTIONS, TOKEN, ask, rows

jar = os.environ.get("KEYTRAIL_DOORS_JDBC")
if not jar:
    assert not os.environ.get("KEYTRAIL_CI"), "KEYTRAIL_DOORS_JDBC must name pgJDBC's jar in CI"
    print("SKIPPED pgJDBC: KEYTRAIL_DOORS_JDBC names no jar")
    sys.exit(0)
jpype.startJVM("-Duser.timezone=UTC", classpath=[jar])
from java.sql import DriverManager, SQLException, Timestamp, Types  # noqa: E402
from java.util import Properties  # noqa: E402


def connect(**more):
    properties = Properties()
    for name, value in {"user": "ann", "password": TOKEN, **more}.items():
        properties.setProperty(name, value)
    return DriverManager.getConnection(f"jdbc:postgresql://127.0.0.1:{POSTGRES_PORT}/keytrail", properties)


def read(result):
    """Rows as Python has them."""
    meta = result.getMetaData()
    columns = range(1, meta.getColumnCount() + 1)
    names, kinds = [str(meta.getColumnLabel(at)) for at in columns], [int(meta.getColumnType(at)) for at in columns]
    got = []
    while result.next():
        row = {}
        for at, name, kind in zip(columns, names, kinds):
            value = result.getObject(at)
            if value is None:
                row[name] = None
            elif kind == Types.TIMESTAMP:
                row[name] = result.getTimestamp(at).toInstant().toString()
                row[name] = str(row[name])
            elif kind == Types.ARRAY:
                row[name] = [None if item is None else str(item) for item in value.getArray()]
            elif kind == Types.BIT:
                row[name] = bool(value)
            elif kind in (Types.BIGINT, Types.INTEGER, Types.SMALLINT, Types.DOUBLE, Types.REAL, Types.NUMERIC):
                row[name] = float(value)
            else:
                row[name] = str(value)
        got.append(row)
    return got


def fails(statement, sql, state):
    try:
        statement.executeQuery(sql)
    except SQLException as error:
        assert str(error.getSQLState()) == state, (sql, error.getSQLState(), str(error.getMessage()))
        return str(error.getMessage())
    raise AssertionError(f"{sql} was answered")


connection = connect()
statement = connection.createStatement()
for question, arguments, sql in QUESTIONS:
    got = rows(read(statement.executeQuery(sql)))
    assert got == ask(question, **arguments), f"{question} through JDBC is not {question} over HTTP"
    assert "coverage" in str(statement.getWarnings()), "the coverage line is a warning"

# A prepared statement, more often than the driver needs to name it on the server.
prepared = connection.prepareStatement("SELECT * FROM touched(?, ?) WHERE count > ?")
for _ in range(8):
    prepared.setString(1, "svc-deploy")
    prepared.setString(2, "-2d")
    prepared.setLong(3, 0)
    assert rows(read(prepared.executeQuery())) == ask("touched", identity="svc-deploy", from_="-2d")
before = connection.prepareStatement("SELECT count(*) AS n FROM events WHERE time < ?")
before.setTimestamp(1, Timestamp(jpype.JLong(4_102_444_800_000)))
assert read(before.executeQuery())[0]["n"] > 0

# What a tool lists before anybody has typed anything.
meta = connection.getMetaData()
assert {"events", "findings", "credentials"} <= {row["TABLE_NAME"] for row in read(meta.getTables(None, "public", "%", None))}
columns = read(meta.getColumns(None, "public", "events", "%"))
assert {"event_id", "identity", "time"} <= {row["COLUMN_NAME"] for row in columns}
functions = {row["FUNCTION_NAME"] for row in read(meta.getFunctions(None, "public", "%"))}
assert {"touched", "who_touched", "posture"} <= functions, functions
assert {row["FUNCTION_NAME"] for row in read(meta.getFunctions(None, None, "touch%"))} == {"touched"}
for nothing in [
    meta.getPrimaryKeys(None, "public", "events"),
    meta.getIndexInfo(None, "public", "events", False, True),
    meta.getImportedKeys(None, "public", "events"),
    meta.getExportedKeys(None, "public", "events"),
    meta.getBestRowIdentifier(None, "public", "events", 2, True),
    meta.getProcedures(None, "public", "%"),
    meta.getUDTs(None, "public", "%", None),
]:
    assert read(nothing) == []
assert read(meta.getTypeInfo()) and read(meta.getSchemas()) and read(meta.getCatalogs()) and str(meta.getDatabaseProductName()) == "PostgreSQL"
assert int(meta.getMaxColumnsInIndex()) == 32 and meta.getSQLKeywords() is not None

# Rows as they are fetched, in a transaction.
connection.setAutoCommit(False)
slowly = connection.createStatement()
slowly.setFetchSize(50)
assert len(read(slowly.executeQuery("SELECT event_id FROM events LIMIT 1000"))) == 1000
connection.commit()
connection.setAutoCommit(True)
connection.setReadOnly(True)
assert connection.isValid(5)

# It reads, within its limits, and says what is wrong.
assert "only read" in fails(statement, "DELETE FROM events", "25006")
assert "nearest" in fails(statement, "SELECT * FROM touched('svc-deplyo')", "42704")
fails(statement, "SELECT identiti FROM events", "42703")
heavy = connection.createStatement()
began = time.monotonic()
threading.Timer(0.3, heavy.cancel).start()
fails(heavy, "SELECT count(*) FROM events a, events b, events c", "57014")
heavy.setQueryTimeout(1)
fails(heavy, "SELECT count(*) FROM events a, events b, events c", "57014")
assert time.monotonic() - began < 10
try:
    connect(password="kt_000000000000_00")
    raise AssertionError("a connection without a token")
except SQLException as error:
    assert "token" in str(error.getMessage())
simple = connect(preferQueryMode="simple")
assert rows(read(simple.createStatement().executeQuery("SELECT * FROM touched('svc-deploy')"))) == ask("touched", identity="svc-deploy")
print("pgJDBC", meta.getDriverVersion())
