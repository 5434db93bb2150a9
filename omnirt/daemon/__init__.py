"""The daemon process: one `Daemon` on two descriptors, and the process around it."""
