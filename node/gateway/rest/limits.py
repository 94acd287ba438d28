"""Every limit of the FHIR interface, in one place; each name ends in what it counts."""

from typing import Final

DOCUMENT_BYTES_MAX: Final = 8 << 20
"""A resource or a bundle, as JSON."""
SEARCH_FORM_BYTES_MAX: Final = 1 << 16
SEARCH_PARAMETERS_MAX: Final = 64
BATCH_ENTRIES_MAX: Final = 512
"""Entries of one batch or transaction."""
EVERYTHING_RECORDS_MAX: Final = 10_000
"""Records that one `$everything` opens; who has more asks with `_type` or `_since`."""
LEDGER_SCAN_MAX: Final = 5_000
"""Consents or accesses that one search looks at."""
HISTORY_VERSIONS_MAX: Final = 100
BINARY_BYTES_MAX: Final = 256 << 20
"""What one Binary holds; the consortium's own limit for attachments may be lower."""
CHUNK_BYTES: Final = 1 << 16
"""What a stream holds in memory at a time."""
CHUNK_S_MAX: Final = 30.0
"""The next piece of a stream, either way."""
