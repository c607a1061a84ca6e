"""A server of our own taken back by its base backups and its WAL: found, recovered beside the present, exchanged."""
