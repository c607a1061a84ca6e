"""Stand in for Cloudflare's API v4: one account, its zones, Workers and Pages. Imports nothing but `twin`."""

from twin.cloudflare.observability.traffic import RECORDER
from twin.cloudflare.routes import app

__all__ = ["RECORDER", "app"]
