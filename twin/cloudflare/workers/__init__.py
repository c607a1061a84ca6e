"""Workers: identities, versions, deployments, secrets, the hosts and times that reach them."""
