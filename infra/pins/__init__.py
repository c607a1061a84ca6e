"""What `pulumi up` must leave in place, though the program or the environment says something else."""
