"""The guards of the Cloudflare plane: tokens, limits, the audit log."""
