"""Keep what Workers bind: Hyperdrive configs, KV namespaces and R2 buckets, and what is in these two."""
