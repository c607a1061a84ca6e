"""The Supabase plane."""
