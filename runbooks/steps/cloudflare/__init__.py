"""What stands at Cloudflare: traffic, releases seen from outside, the maintenance version. May not decide an order."""
