"""The embedded storage: one SQLite file."""
