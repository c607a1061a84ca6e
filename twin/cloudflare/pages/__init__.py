"""Pages: projects and their hosts, direct upload, deployments, and the way a site answers."""
