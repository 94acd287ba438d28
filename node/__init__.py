"""Puts the rooms together: engine, mempool, sync, configuration, daemon, API, command line."""
