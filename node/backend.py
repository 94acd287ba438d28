"""What the HTTP API may ask of a node: the seam between web code and everything else."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from chain.block import Result
from chain.codec import Value
from chain.genesis import Genesis
from chain.readiness import SignedReadiness
from ledger.prepare import Prepared
from storage.attachments import AttachmentStore
from storage.protocols import Store

T = TypeVar("T")


class Busy(Exception):  # noqa: N818 - the sender is not at fault and may come again
    """The node cannot take this now. `code` says why, `retry_after_s` when to come again."""

    def __init__(self, code: str, cause: str, retry_after_s: int = 1) -> None:
        super().__init__(code)
        self.code = code
        self.cause = cause
        self.retry_after_s = retry_after_s


class NotReady(Exception):  # noqa: N818 - a state, and nobody's fault
    """This node could not vote on the next block; `cause` says why."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Committed:
    """Where a transaction stands on the chain and what became of it."""

    height: int
    index: int
    result: Result


class FreshBlock(Value, frozen=True):
    """A block that was committed a moment ago, its transactions still decoded."""

    height: int
    timestamp_ms: int
    transactions: Sequence[Prepared]
    results: Sequence[Result]


class Backend(Protocol):
    """A running node, as its API sees it."""

    me: str
    version: str
    genesis: Genesis
    store: Store
    attachments: AttachmentStore
    registry: CollectorRegistry

    async def submit(self, raw: bytes, attachments: Sequence[bytes]) -> bytes:
        """Admits an encoded `SignedTransaction`; returns its id.

        Raises `InvalidMessage` (malformed, unsigned, expired …), `Rejected` (the ledger's rules
        refuse it at the tip) or `Busy`. A known or committed id is no error.
        """
        ...

    async def submit_many(
        self, submissions: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> list[bytes | Exception]:
        """`submit` for a batch: one outcome each, in order; signatures are checked together."""
        ...

    async def committed(self, transaction_id: bytes, timeout_s: float) -> Committed | None:
        """Waits until the transaction is on the chain; None when `timeout_s` is over."""
        ...

    def pending(self, transaction_id: bytes) -> bool:
        """True while the mempool holds the transaction."""
        ...

    async def receipt(self, transaction_id: bytes) -> bytes | None:
        """The canonical receipt; None where the transaction is not on the chain."""
        ...

    def heights(self, after: int) -> AsyncIterator[int]:
        """Heights as they are committed, from `after` + 1 on, without a gap; never ends."""
        ...

    def fresh(self, height: int) -> FreshBlock | None:
        """The block of `height` where it is one of the latest; None where it must be read."""
        ...

    def uploaded(self, attachment: bytes, size: int) -> None:
        """A client's upload is complete: other nodes may copy it."""
        ...

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs storage or crypto work off the event loop."""
        ...

    def status(self) -> dict[str, Any]:
        """The document of `GET /v1/status`."""
        ...

    def consensus(self) -> dict[str, Any]:
        """The document of `GET /v1/consensus`."""
        ...

    def peers(self) -> list[dict[str, Any]]:
        """The document of `GET /v1/peers`."""
        ...

    def why_stalled(self) -> dict[str, Any]:
        """The document of `GET /v1/why-stalled`."""
        ...

    def ready(self) -> bool:
        """True while the node takes part: not syncing, tip loaded, quorum connected."""
        ...

    def readiness(self) -> tuple[SignedReadiness, ...]:
        """The node's word that it is ready to vote, for each consensus key that it holds.

        Raises `NotReady`.
        """
        ...

    def cut_links(self, members: Collection[str]) -> None:
        """Development only: drop and refuse links with `members`."""
        ...

    def heal_links(self) -> None:
        """Development only: undo `cut_links`."""
        ...
