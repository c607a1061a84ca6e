"""Runs any ordered tuple of steps and remembers it. Knows no vendor, no client and no book."""
