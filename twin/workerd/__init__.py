"""Real Workers: one workerd process per version, its configuration, its cron events, its console, its KV."""
