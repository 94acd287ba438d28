"""Records that hold secrets or identities: they encode like others, but never show themselves."""

from typing import Any

from chain.codec import Record


class Redacted(Record, frozen=True):
    """Base of such records. Their representation is the name of the type and nothing else."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
