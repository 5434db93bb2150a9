"""`omnirt replay`: plays the daemon of a tape to any host, and fails when the host does something else."""
