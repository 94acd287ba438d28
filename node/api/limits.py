"""Every limit of the HTTP port, in one place; each name ends in what it counts."""

from typing import Final

# Connections
CONNECTIONS_MAX: Final = 1_024
HANDSHAKE_S_MAX: Final = 10.0
"""TLS, from the accepted socket on."""
IDLE_S_MAX: Final = 30.0
"""From connecting, or from the last answer, until a request's headers are complete."""
HEADER_LINE_BYTES_MAX: Final = 8_190
REQUEST_LINE_BYTES_MAX: Final = 1 << 14
"""More than a URL may have, so that one that is too long is refused in its interface's words."""
HEADER_LINES_MAX: Final = 64
READ_BUFFER_BYTES: Final = 1 << 18
SHUTDOWN_S_MAX: Final = 5.0

# Requests
CALLER_REQUESTS_MAX: Final = 256
"""Under way at once for one principal."""
ADDRESS_REQUESTS_MAX: Final = 64
"""Under way at once for one address without a token."""
REQUESTS_MAX: Final = 2_048
URL_BYTES_MAX: Final = 8_000
"""Path and query, as they came."""
QUERY_TEXT_MAX: Final = 1_024
"""Characters of one query parameter."""

# Bodies
SUBMISSION_BODY_BYTES_MAX: Final = 4 << 20
DOCUMENT_BODY_BYTES_MAX: Final = 1 << 16
FORM_BODY_BYTES_MAX: Final = 1 << 14
BODY_S_MAX: Final = 30.0
"""A whole buffered body."""
CHUNK_S_MAX: Final = 30.0
"""The next piece of a streamed body, or of a streamed answer that the client must take."""
BATCH_GROUP_MAX: Final = 1_024
BATCH_GROUP_BYTES_MAX: Final = 2 << 20
BATCH_RECHECK_S: Final = 5.0
"""How often a stream asks again whether its caller still may."""

# Answers
BLOCKS_PAGE_MAX: Final = 100
RECORDS_PAGE_MAX: Final = 200
STATE_KEY_BYTES_MAX: Final = 256
COMMIT_WAIT_MS_DEFAULT: Final = 10_000
COMMIT_WAIT_MS_MAX: Final = 60_000
EVENT_STREAMS_MAX: Final = 64
EVENT_STREAMS_CALLER_MAX: Final = 8
EVENT_BEAT_S: Final = 15.0
ATTACHMENT_CHUNK_BYTES: Final = 1 << 18

# Identity
ASSERTION_TEXT_MAX: Final = 4_096
ASSERTION_LIFE_S_MAX: Final = 300
CLOCK_LEEWAY_S: Final = 10
JTI_TEXT_MAX: Final = 128
JTI_MAX: Final = 65_536
JTI_PRINCIPAL_MAX: Final = 1_024
KEY_SETS_MAX: Final = 1_024
"""Files with keys that the operator registered."""
KEY_SET_BYTES_MAX: Final = 1 << 16
REGISTERED_KEYS_MAX: Final = 8
"""Of one principal."""
KEY_ID_TEXT_MAX: Final = 128
RSA_BITS_MIN: Final = 2_048
RSA_BITS_MAX: Final = 8_192
RSA_EXPONENT_MIN: Final = 65_537
RSA_EXPONENT_MAX: Final = (1 << 32) - 1
TOKEN_LIFE_S: Final = 300
SCOPES_MAX: Final = 64
"""Scopes of one token request; what is asked for beyond them is not granted."""
TOKENS_MAX: Final = 16_384
TOKENS_PRINCIPAL_MAX: Final = 32
