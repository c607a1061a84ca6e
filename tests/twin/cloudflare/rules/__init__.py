"""Rulesets by the API, and what they do at the edge."""
