"""The ports of two hospitals, as somebody sees them who speaks EPCIS."""

from tests.node.gateway.rest.house import House, Reply, World, served

__all__ = ["House", "Reply", "World", "served"]
