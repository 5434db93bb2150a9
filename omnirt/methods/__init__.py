"""The handlers of the host's methods, grouped as the protocol page groups them."""
