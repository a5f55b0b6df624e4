"""psycopg, asyncpg and pgJDBC prove a token, whatever the user is called, and see the same rows of a question that is asked as one: as text, as binary, as parameters."""
import asyncio
import os

import asyncpg
import jpype
import psycopg

PORT, TOKEN, EVENTS, JDBC = int(os.environ["DOOR_POSTGRES"]), os.environ["DOOR_TOKEN"], int(os.environ["DOOR_EVENTS"]), os.environ["DOOR_JDBC"]
COLUMNS = ["destination", "outcome", "count", "failures", "first", "last", "credential", "credential_age_days"]


def connect(password):
    # libpq refuses a server that would have the password itself.
    return psycopg.connect(host="127.0.0.1", port=PORT, user="whoever", password=password, dbname="keytrail", autocommit=True, require_auth="scram-sha-256")


with connect(TOKEN) as connection:
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (EVENTS,)
    seen = []
    for binary in [False, True]:
        cursor = connection.cursor(binary=binary)
        for statement, parameters in [("SELECT * FROM touched('worker-03')", None), ("SELECT * FROM touched(%s)", ["worker-03"]), ("SELECT * FROM touched(%s, %s)", ["worker-03", None])]:
            rows = cursor.execute(statement, parameters).fetchall()
            names = [column.name for column in cursor.description]
            seen.append(sorted(tuple(row[names.index(name)] for name in COLUMNS) for row in rows))
for wrong in [TOKEN + "0", "kt_000000000000_00"]:
    try:
        connect(wrong)
        raise AssertionError("a wrong token was let in")
    except psycopg.OperationalError as error:
        assert "the password is the token" in str(error), error


async def over_asyncpg():
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="anybody", password=TOKEN, database="keytrail")
    for arguments in [("worker-03",), ("worker-03", None)]:
        marks = ", ".join(f"${number + 1}" for number in range(len(arguments)))
        rows = await connection.fetch(f"SELECT * FROM touched({marks})", *arguments)
        seen.append(sorted(tuple(row[name] for name in COLUMNS) for row in rows))
    await connection.close()
    try:
        await asyncpg.connect(host="127.0.0.1", port=PORT, user="anybody", password="ann", database="keytrail")
        raise AssertionError("a wrong token was let in")
    except asyncpg.InvalidPasswordError:
        pass


asyncio.run(over_asyncpg())
assert seen[0] and all(rows == seen[0] for rows in seen), [len(rows) for rows in seen]
if JDBC:
    jpype.startJVM(classpath=[JDBC])
    connection = jpype.JClass("java.sql.DriverManager").getConnection(f"jdbc:postgresql://127.0.0.1:{PORT}/keytrail", "somebody", TOKEN)
    statement = connection.prepareStatement("SELECT * FROM touched(?)")
    for _ in range(7):  # from the fifth time on pgJDBC keeps the statement on the server
        statement.setString(1, "worker-03")
        answer, count = statement.executeQuery(), 0
        while answer.next():
            count += answer.getLong("count")
        assert count == sum(row[2] for row in seen[0]), count
    connection.close()
print("psycopg, asyncpg" + (", pgJDBC" if JDBC else ""))
