"""Stand in for Supabase's Management API: one project around a real database. Imports nothing but `twin`."""

from twin.supabase.routes import app
from twin.supabase.store import STORE
from twin.supabase.wild import BREAKS

__all__ = ["BREAKS", "STORE", "app"]
