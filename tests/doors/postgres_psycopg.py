"""psycopg 3: questions with parameters, cursors, refusals, limits, cancel; the same rows as HTTP."""
import os
import threading
import time

import psycopg
from psycopg.rows import dict_row

from answers import POSTGRES_PORT, QUESTIONS, TOKEN, ask, rows


def connect(token=TOKEN, **more):
    return psycopg.connect(host="127.0.0.1", port=POSTGRES_PORT, user="ann", password=token, dbname="keytrail", autocommit=True, row_factory=dict_row, **more)


def fails(connection, statement, state, parameters=None):
    try:
        connection.execute(statement, parameters).fetchall()
    except psycopg.Error as error:
        assert error.sqlstate == state, (statement, error.sqlstate, error)
        return str(error)
    raise AssertionError(f"{statement} was answered")


with connect() as connection:
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    for question, arguments, sql in QUESTIONS:
        got = rows(connection.execute(sql).fetchall())
        assert got == ask(question, **arguments), f"{question} over the wire is not {question} over HTTP"
    assert len(notices) == len(QUESTIONS) and all(notices), "every answer has its coverage line"

    # A parameter is an argument of a question, whatever is in it.
    got = rows(connection.execute("SELECT * FROM touched(%s, %s)", ("svc-deploy", "-2d")).fetchall())
    assert got == ask("touched", identity="svc-deploy", from_="-2d") and got
    assert rows(connection.execute("SELECT * FROM touched(%s) WHERE count > %s", ("svc-deploy", 1)).fetchall())
    assert rows(connection.execute("SELECT * FROM blast_radius(%s, NULL, NULL, %s)", ("svc-deploy", 2)).fetchall()) == ask("blast_radius", identity_or_credential="svc-deploy", hops="2")
    message = fails(connection, "SELECT * FROM touched(%s)", "42704", ("x'); DROP TABLE events; --",))
    assert "no identity matches" in message, message
    assert "svc-deploy" in fails(connection, "SELECT * FROM touched('svc-deplyo')", "42704"), "the nearest names are told"
    binary = connection.cursor(binary=True)
    assert rows(binary.execute("SELECT * FROM touched('svc-deploy')").fetchall()) == ask("touched", identity="svc-deploy")

    # It reads, and nothing else.
    for statement in ["INSERT INTO events SELECT * FROM events", "CREATE TABLE x AS SELECT 1", "DROP TABLE events", "COPY events TO '/tmp/x'", "UPDATE events SET identity = 'x'", "WITH a AS (SELECT 1) DELETE FROM events"]:
        try:
            connection.execute(statement)
            raise AssertionError(f"{statement} was taken")
        except psycopg.Error as error:
            assert error.sqlstate in ("25006", "42601"), (statement, error.sqlstate, str(error))
    # A setting of the engine is not a client's: it is taken and has no effect.
    connection.execute("SET datafusion.execution.batch_size = 1")
    assert connection.execute("SHOW datafusion.execution.batch_size") is not None
    fails(connection, "SELECT identiti FROM events", "42703")
    fails(connection, "SELECT * FROM queries", "42501")
    began = time.monotonic()
    fails(connection, "SELECT count(*) FROM events a, events b, events c", "57014")
    assert time.monotonic() - began < 40
    connection.execute("SET statement_timeout = '300ms'")
    began = time.monotonic()
    fails(connection, "SELECT count(*) FROM events a, events b, events c", "57014")
    assert time.monotonic() - began < 10
    connection.execute("SET statement_timeout = 0")

    # Cancelled from beside.
    began = time.monotonic()
    timer = threading.Timer(0.3, connection.cancel)
    timer.start()
    fails(connection, "SELECT count(*) FROM events a, events b, events c", "57014")
    assert time.monotonic() - began < 10, "the cancel was not heard"
    assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}, "the connection goes on"

# Transactions, rows as they come; a cursor on the server is refused in words.
with psycopg.connect(host="127.0.0.1", port=POSTGRES_PORT, user="ann", password=TOKEN, dbname="keytrail", row_factory=dict_row) as connection:
    with connection.transaction():
        with connection.cursor() as cursor:
            assert len(list(cursor.stream("SELECT event_id FROM events LIMIT 35"))) == 35
    try:
        with connection.cursor(name="slowly") as cursor:
            cursor.execute("SELECT event_id FROM events LIMIT 35").fetchall()
        raise AssertionError("a cursor without columns was fetched from")
    except psycopg.errors.FeatureNotSupported as error:
        assert "simple protocol" in str(error)
    connection.rollback()
    with connection.transaction():
        assert connection.execute("SELECT count(*) AS n FROM events").fetchone()["n"] > 0

# Without a token in force there is no connection.
for token in ["", "kt_000000000000_00", "ann"]:
    try:
        connect(token)
        raise AssertionError("a connection without a token")
    except psycopg.OperationalError as error:
        assert "token" in str(error) or "password" in str(error), error
# A scope holds in SQL as well.
with connect(os.environ["DOOR_SCOPED"]) as connection:
    assert connection.execute("SELECT * FROM touched('svc-deploy')").fetchall()
    for statement in ["SELECT * FROM events", "SELECT * FROM posture()", "SELECT (SELECT max(time) FROM events) FROM touched('svc-deploy')"]:
        fails(connection, statement, "42501")
print("psycopg", psycopg.__version__)
