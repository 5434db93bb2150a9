"""Which endpoint a session talks to, with what authorization, and nothing of it in a log."""
