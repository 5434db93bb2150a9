"""`omnirt doctor`: finds out what keeps a session from working, and says what would help."""
