"""Ways to take the database back to a point, one a file. May not stop or restart the application: the book does."""
