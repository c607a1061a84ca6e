"""What stands at the database: its server, its copies, its recovery, its proof. May not decide an order."""
