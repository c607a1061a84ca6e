"""A PostgreSQL server that we run ourselves, as files: its data folder, its base backups, its archived WAL."""
