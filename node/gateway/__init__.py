"""The gateway: a node acting with the keys of its own organisation."""
