"""The PBFT replica: messages in, effects out.

No I/O, no clock, no crypto, no knowledge of what a transaction means.
"""
