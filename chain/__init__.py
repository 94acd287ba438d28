"""The formats that all rooms share. No I/O, no clock, no knowledge of any other room."""
