"""ADBC over PostgreSQL: COPY is what it would read with, and is refused; its plain path answers."""
import adbc_driver_postgresql.dbapi

from answers import POSTGRES_PORT, TOKEN, ask, rows

uri = f"postgresql://ann:{TOKEN}@127.0.0.1:{POSTGRES_PORT}/keytrail?sslmode=disable"
with adbc_driver_postgresql.dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
    cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
    cursor.execute("SELECT * FROM posture()")
    table = cursor.fetch_arrow_table()
    assert rows(table.to_pylist()) == ask("posture")
print("adbc", adbc_driver_postgresql.__version__)
