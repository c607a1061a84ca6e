"""Keep rulesets with their versions, and purge what they let the edge keep."""
