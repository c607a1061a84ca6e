"""Tell who wants to know: health checks look, policies choose, webhooks are called, the history remembers."""
