"""Whole networks in one thread: the shipped node over a virtual clock, network and disk.

`World` is the way in; `docs/simulator.md` explains it to readers.
"""
