"""What was logged, as the providers tell it. Only asks; may not change anything."""
