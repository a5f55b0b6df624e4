"""SQLAlchemy 2: what there is, reflected; a question as a table."""
import sqlalchemy

from answers import POSTGRES_PORT, TOKEN, ask, cli, rows

engine = sqlalchemy.create_engine(f"postgresql+psycopg2://ann:{TOKEN}@127.0.0.1:{POSTGRES_PORT}/keytrail")
inspector = sqlalchemy.inspect(engine)
assert "public" in inspector.get_schema_names() and "pg_catalog" not in inspector.get_schema_names(), inspector.get_schema_names()
assert {"events", "touches"} <= set(inspector.get_table_names()) and {"findings", "detections"} <= set(inspector.get_view_names())
assert inspector.get_enums() == [] and inspector.get_sequence_names() == []
events = sqlalchemy.Table("events", sqlalchemy.MetaData(), autoload_with=engine)
assert isinstance(events.c.time.type, sqlalchemy.TIMESTAMP) and events.c.time.type.timezone and isinstance(events.c.identity.type, sqlalchemy.TEXT)
assert not events.primary_key and not events.foreign_keys and not events.indexes
with engine.connect() as connection:
    n = sqlalchemy.func.count().label("n")
    got = rows(connection.execute(sqlalchemy.select(events.c.identity, n).group_by(events.c.identity)).mappings())
    assert got == cli("sql", "SELECT identity, count(*) AS n FROM events GROUP BY identity")[0] and got
    touched = sqlalchemy.text("SELECT * FROM touched(:identity)")
    assert rows(connection.execute(touched, {"identity": "svc-deploy"}).mappings()) == ask("touched", identity="svc-deploy")
print("sqlalchemy", sqlalchemy.__version__)
