"""What makes registered resources real: the Cloudflare types over REST, dynamic resources in this process.

Knows nothing of programs, monitors or state files.
"""
