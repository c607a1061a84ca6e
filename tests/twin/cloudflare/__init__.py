"""The Cloudflare plane."""
