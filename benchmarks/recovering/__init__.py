"""A live workload with a ledger of its own, and what a restored database must hold at any point of it."""
