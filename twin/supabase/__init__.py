"""Stand in for Supabase's Management API: one project around a real database. Imports nothing but `twin`."""

from twin.supabase.routes import app

__all__ = ["app"]
