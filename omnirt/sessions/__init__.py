"""Live sessions: the conversation core without I/O, the voice SDK around it, and the registry."""
