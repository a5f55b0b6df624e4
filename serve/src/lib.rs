//! The doors: HTTP, PostgreSQL wire, MCP; who may ask, and the record of who asked what. Stands on `query`, which knows no network.
