"""Documents say the same as the records they come from, also where a field may be absent."""

from typing import Annotated

import pytest
from msgspec import Meta

from chain.codec import Record
from chain.document import from_document, to_document
from chain.types import HEX

Id = Annotated[bytes, Meta(min_length=2, max_length=2, extra=HEX)]


class Leaf(Record, frozen=True):
    id: Id | None
    raw: bytes | None
    ids: tuple[Id, ...] | None


@pytest.mark.parametrize(
    ("leaf", "document"),
    [
        (Leaf(None, None, None), {"id": None, "raw": None, "ids": None}),
        (
            Leaf(b"\x01\xff", b"\x01\xff", (b"\x01\xff",)),
            {"id": "01ff", "raw": "Af8", "ids": ["01ff"]},
        ),
    ],
)
def test_a_field_that_may_be_absent_is_spelled_like_one_that_may_not(
    leaf: Leaf, document: dict[str, object]
) -> None:
    assert to_document(leaf) == document
    assert from_document(Leaf, document) == leaf
