"""The deterministic state machine: identity and sealed records. No I/O, no clock, no chance."""
