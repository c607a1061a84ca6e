"""Who is not an operator: what others find at the door of the database. Speaks to nothing but that door."""
