"""A network of real node processes on this machine, for developers and for tests."""
