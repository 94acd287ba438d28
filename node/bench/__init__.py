"""Measures a network of real processes on this machine, and the machine itself first."""
