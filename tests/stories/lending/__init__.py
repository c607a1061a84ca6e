"""Another product than the example: an API with a database; no site, no records of its own, no heartbeat."""
