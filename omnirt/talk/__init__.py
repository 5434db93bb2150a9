"""The command `omnirt talk`: a host in the terminal, for a conversation with any agent."""
