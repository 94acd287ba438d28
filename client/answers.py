"""Reading a node's answers: what is malformed in them is the node's fault, so an `ApiError`."""

from collections.abc import Callable
from typing import Any

from chain.document import from_document
from chain.errors import InvalidMessage
from client.transport import unusable


def part(document: Any, name: str) -> Any:
    """The member `name` of an object."""
    if not isinstance(document, dict) or name not in document:
        raise unusable(f"the answer has no {name}")
    return document[name]


def listed(value: Any) -> list[Any]:
    """`value`, which has to be an array."""
    if not isinstance(value, list):
        raise unusable("an array expected")
    return value


def shaped(shape: Any, document: Any, field: str) -> Any:
    """The `shape` that `document` describes."""
    return wired(lambda: from_document(shape, document, field))


def wired(read: Callable[[], Any]) -> Any:
    """What `read` gives, whose `InvalidMessage` is the node's fault."""
    try:
        return read()
    except InvalidMessage as error:
        raise unusable(f"{error.field}: {error.cause or error.code}") from None
