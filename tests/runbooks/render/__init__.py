"""What people read, and that it says what the journal says."""
