"""Kill a run at each of its moments and count what its provider saw."""
