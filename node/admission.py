"""The door of a node: what it takes to be believed as a transaction.

One way in for all: the API, gossip, and transactions first seen in a block. Runs in worker threads,
a batch at a time; reads the state at the tip and changes nothing but the attachment store, which
keeps what nobody commits for a while only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from chain.errors import InvalidMessage, Rejected
from chain.genesis import Genesis, Parameters
from chain.keys import verify
from chain.transaction import Transaction, check_approvals, signing_payload
from ledger.execute import admissible, check
from ledger.prepare import Prepared, prepare
from ledger.request import BlockContext
from ledger.state import DecodedState, decoded
from storage.attachments import AttachmentStore
from storage.protocols import Store


@dataclass(frozen=True, slots=True)
class Offered:
    """A transaction as somebody hands it in, with the attachments that come along."""

    raw: bytes
    attachments: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Admitted:
    """`key` verified the signature; `kept` are the attachments that came along and were new,
    `missing` those that this node does not hold yet."""

    prepared: Prepared
    key: bytes
    kept: tuple[bytes, ...]
    missing: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OnChain:
    """The transaction is committed already: nothing to do, and nobody's fault."""

    transaction_id: bytes


Outcome = Admitted | OnChain | InvalidMessage | Rejected


class Admission:
    """Checks transactions against the state at the tip."""

    def __init__(
        self,
        genesis: Genesis,
        store: Store,
        attachments: AttachmentStore,
        wall_ms: Callable[[], int],
    ) -> None:
        self._genesis = genesis
        self._store = store
        self._attachments = attachments
        self._wall_ms = wall_ms

    def admit(
        self,
        offered: Sequence[Offered],
        parameters: Parameters,
        *,
        strict: bool,
        block_ms: int | None = None,
    ) -> list[Outcome]:
        """One outcome for each of `offered`, in order.

        `block_ms` is the timestamp of the block that carries them: what is in a block is judged by
        its time, whatever this node's clock says. Else it is the present time that counts.

        `strict` is for a sender who listens: every attachment must be there, and what the ledger
        would reject at the tip is refused now. Gossip is lenient: order on the way is nobody's
        fault.
        """
        context = self._context(block_ms)
        # One memory of decoded entries for the batch: most senders come more than once.
        state = decoded(self._store.state)
        outcomes: list[Outcome] = []
        for each in offered:
            try:
                outcomes.append(self._admit(each, parameters, state, context, strict=strict))
            except (InvalidMessage, Rejected) as refusal:
                outcomes.append(refusal)
        return outcomes

    def _context(self, block_ms: int | None) -> BlockContext:
        tip = self._store.tip()
        assert tip is not None, "a running node has a genesis block"
        time_ms = self._wall_ms() if block_ms is None else block_ms
        return BlockContext(tip.header.height + 1, max(time_ms, tip.header.timestamp_ms + 1))

    def _admit(
        self,
        offered: Offered,
        parameters: Parameters,
        state: DecodedState,
        context: BlockContext,
        *,
        strict: bool,
    ) -> Admitted | OnChain:
        prepared = prepare(offered.raw, parameters)
        if self._store.find_transaction(prepared.id) is not None:
            return OnChain(prepared.id)
        key = self._authenticate(prepared, admissible(state, context, prepared))
        if strict:
            check(state, context, prepared)
        kept, missing = self._keep_attachments(
            prepared.transaction, offered.attachments, parameters
        )
        if strict and missing:
            index = [ref.hash for ref in prepared.transaction.attachments].index(missing[0])
            raise InvalidMessage(
                "transaction.attachment_missing",
                f"attachments[{index}]",
                "neither sent along nor uploaded before",
            )
        return Admitted(prepared, key, kept, missing)

    def _authenticate(self, prepared: Prepared, keys: Sequence[bytes]) -> bytes:
        """Checks signature and co-signatures; returns the one of `keys` that signed."""
        message = signing_payload(prepared.signed, self._genesis.hash)
        for key in keys:
            if verify(key, prepared.signature, message):
                check_approvals(prepared.transaction, self._genesis.hash)
                return key
        raise InvalidMessage(
            "transaction.wrong_signature",
            "signature",
            "not the sender's valid key over this chain's transaction",
        )

    def _keep_attachments(
        self, transaction: Transaction, attachments: Sequence[bytes], parameters: Parameters
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Stores what came along and is named; returns what was new and what is still missing."""
        if sum(map(len, attachments)) > parameters.inline_attachment_bytes_max:
            raise InvalidMessage(
                "transaction.attachments_too_large",
                "attachments",
                f"{parameters.inline_attachment_bytes_max} bytes travel with a transaction; "
                "upload larger ones first",
            )
        sizes = {ref.hash: ref.size for ref in transaction.attachments}
        came = {sha256(raw).digest(): raw for raw in attachments}
        for digest, raw in came.items():
            if sizes.get(digest) != len(raw):
                raise InvalidMessage(
                    "transaction.attachment_wrong", "attachments", "named by no hash and size"
                )
        missing = [digest for digest in sizes if not self._attachments.has(digest)]
        kept = tuple(digest for digest in missing if digest in came)
        self._attachments.put_many([(digest, came[digest]) for digest in kept])
        return kept, tuple(digest for digest in missing if digest not in came)
