"""Judge requests at the edge by the rules of their zone: the rules language, firewall, rate limits, redirects, cache.

It is told rules as the API keeps them and knows nothing of how they got there.
"""
