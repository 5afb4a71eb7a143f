"""`chorus trace`, "why did I (not) get this?": what the log, Redis, the consumers and one inbox say of an event."""
