"""What a run leaves behind and how it is kept: entries, journals, leases' names, the ops home. Knows no step."""
