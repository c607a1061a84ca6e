"""Break chosen calls: which, and what becomes of them. Knows no provider but the shape of its errors."""
