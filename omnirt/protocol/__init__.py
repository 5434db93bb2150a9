"""The wire contract: framing, envelopes, tables of methods, calls and events. No I/O, no clock, no tasks."""
