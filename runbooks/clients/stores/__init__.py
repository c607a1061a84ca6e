"""Where large files lie: folders and object stores. Knows nothing of backups."""
