"""Own backups: made, kept, proven, taken away, loaded again. May not decide an order."""
