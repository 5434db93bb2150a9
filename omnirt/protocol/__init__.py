"""The wire contract: framing, envelopes, and the tables of methods, calls and events. No I/O, no clock, no tasks."""
