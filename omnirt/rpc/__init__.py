"""JSON-RPC over one pair of streams: the connection, its output queue, dispatch to handlers."""
