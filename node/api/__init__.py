"""The HTTP API of a node: one table of routes, and what every request passes on its way in."""
