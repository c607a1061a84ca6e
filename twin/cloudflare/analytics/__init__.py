"""Answer GraphQL analytics from `twin.cloudflare.observability`'s ledger; only `calls` is imported at the start."""
