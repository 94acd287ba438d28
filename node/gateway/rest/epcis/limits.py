"""Every limit of the EPCIS interface over HTTP, in one place; each name ends in what it counts."""

from typing import Final

DOCUMENT_BYTES_MAX: Final = 4 << 20
"""A document to capture, as JSON."""
QUERY_BYTES_MAX: Final = 1 << 16
"""A named query or a subscription, as JSON."""
PAGE_MAX: Final = 1_000
"""Things on one page of a list."""
PAGE_DEFAULT: Final = 30
