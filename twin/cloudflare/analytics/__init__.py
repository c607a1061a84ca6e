"""Answer GraphQL analytics from the ledger of `twin.cloudflare.observability`; `calls` alone is imported at the start."""
