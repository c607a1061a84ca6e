"""Resources that the Cloudflare provider does not have: they act themselves, over REST, when Pulumi asks them to.

Pulumi keeps their providers as pickles that only name these modules. Nothing here declares another resource.
"""
