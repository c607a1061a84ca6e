"""Health checks, policies and webhooks of the Cloudflare plane."""
