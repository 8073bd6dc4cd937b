"""The tables and statements that the SQL storages share."""
