"""What is ours for a while: a folder that nobody else reads, a PostgreSQL. Outlives nobody."""
