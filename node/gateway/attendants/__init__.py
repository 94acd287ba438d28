"""Attendants: what the gateway does by itself because of what the chain has committed."""
