"""Scratch PostgreSQL servers, and databases that are healthy or broken on purpose. May not touch any other server."""
