"""A local stand-in of Cloudflare and Supabase with real engines. Imports nothing of this repository's other code."""
