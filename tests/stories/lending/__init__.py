"""Another product than the example: an API with a database, no site and no records of its own."""
