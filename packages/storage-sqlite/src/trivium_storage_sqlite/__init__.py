"""The embedded storage: one SQLite file. Opened by its URL, `sqlite:///file.db`; see `trivium_storage_sqlite.store`."""
