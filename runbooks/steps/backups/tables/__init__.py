"""The rows of a backup, on their way into tables."""
