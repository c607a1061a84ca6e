"""Guard the API: who may come in and do what, how often, and what is written down about it."""
