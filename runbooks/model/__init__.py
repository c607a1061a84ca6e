"""Data without input or output: settings, points in time, inventory, errors. Opens nothing, starts nothing."""
