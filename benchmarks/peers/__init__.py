"""Programs that a peer's own Python runs: they import the peer and nothing of ours, and print seconds."""
