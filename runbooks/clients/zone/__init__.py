"""A DNS zone: its records as Cloudflare's API keeps them, and what its name servers answer. May not decide anything."""
