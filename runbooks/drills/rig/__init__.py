"""What every drill stands on: the stage, its users and their ledger, the looks that detect, the bench that measures."""
