"""asyncpg: prepared statements and the binary protocol; the same rows as HTTP."""
import asyncio

import asyncpg

from answers import POSTGRES_PORT, QUESTIONS, TOKEN, ask, rows


async def main():
    connection = await asyncpg.connect(host="127.0.0.1", port=POSTGRES_PORT, user="ann", password=TOKEN, database="keytrail", ssl=False)
    for question, arguments, sql in QUESTIONS:
        assert rows(await connection.fetch(sql)) == ask(question, **arguments), question
    prepared = await connection.prepare("SELECT * FROM touched($1, $2)")
    assert [attribute.name for attribute in prepared.get_attributes()][0] == "destination" or prepared.get_attributes()
    assert rows(await prepared.fetch("svc-deploy", "-2d")) == ask("touched", identity="svc-deploy", from_="-2d")
    assert rows(await prepared.fetch("svc-deploy", None)) == ask("touched", identity="svc-deploy")
    try:
        await prepared.fetch("x'); DROP TABLE events; --", None)
        raise AssertionError("an identity that there is not was answered")
    except asyncpg.PostgresError as error:
        assert error.sqlstate == "42704", error
    assert await connection.fetchval("SELECT count(*) FROM events WHERE identity LIKE $1", "%svc-deploy%") > 0
    await connection.close()
    pool = await asyncpg.create_pool(host="127.0.0.1", port=POSTGRES_PORT, user="ann", password=TOKEN, database="keytrail", ssl=False, min_size=2, max_size=4)
    answers = await asyncio.gather(*(pool.fetchval("SELECT count(*) FROM events") for _ in range(12)))
    assert len(set(answers)) == 1
    await pool.close()
    print("asyncpg", asyncpg.__version__)


asyncio.run(main())
