"""The door of a node: what it takes to be believed as a transaction.

One way in for all: the API, gossip, and transactions first seen in a block. Runs in worker threads,
a batch at a time; reads the state at the tip and changes nothing but the attachment store, which
keeps what nobody commits for a while only.
"""

from collections.abc import Callable, Container, Sequence
from hashlib import sha256
from typing import Final

from chain.block import Result
from chain.codec import Value
from chain.errors import InvalidMessage, Rejected
from chain.genesis import Genesis, Parameters
from chain.keys import verify
from chain.transaction import AttachmentRef, signing_payload
from ledger.execute import admissible, check
from ledger.prepare import Prepared, check_signed_within, prepare
from ledger.request import BlockContext
from ledger.state import DecodedState, decoded
from ledger.supply.evidence import evidence_in
from node.backend import Busy
from node.clock import next_block_ms
from node.mempool import COMMITTED_ALREADY
from storage.attachments import AttachmentStore
from storage.errors import AttachmentErased, QuotaExceeded, ShareExceeded
from storage.protocols import Store

EXPIRED: Final = "transaction.expired"
SHARE_IS_FULL: Final = "this sender's share of the room for attachments in waiting is full"


class Offered(Value, frozen=True):
    """A transaction as somebody hands it in, with the attachments that come along."""

    raw: bytes
    attachments: Sequence[bytes]


class Admitted(Value, frozen=True):
    """`key` verified the signature; `kept` are the attachments that came along and were new,
    `missing` those that this node does not hold yet."""

    prepared: Prepared
    key: bytes
    kept: tuple[bytes, ...]
    missing: tuple[bytes, ...]


class _Believed(Value, frozen=True):
    """What becomes an `Admitted` once `came` is kept: the attachments that came along, by hash."""

    prepared: Prepared
    key: bytes
    came: dict[bytes, bytes]
    missing: tuple[bytes, ...]


class OnChain(Value, frozen=True):
    """The transaction is committed already: nothing to do, and nobody's fault."""

    transaction_id: bytes


Outcome = Admitted | OnChain | InvalidMessage | Rejected | Busy


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
        would reject at the tip is refused now, but for what has to stand on the chain as evidence
        (`ledger.supply.evidence`). Gossip is lenient: order on the way is nobody's fault.
        """
        context = self._context(block_ms)
        # One memory of decoded entries for the batch: most senders come more than once.
        state = decoded(self._store.state)
        believed: list[_Believed | OnChain | InvalidMessage | Rejected] = []
        for each in offered:
            try:
                believed.append(self._judge(each, parameters, state, context, strict=strict))
            except (InvalidMessage, Rejected) as refusal:
                believed.append(refusal)
        return self._keep(believed)

    def _context(self, block_ms: int | None) -> BlockContext:
        tip = self._store.tip()
        assert tip is not None, "a running node has a genesis block"
        time_ms = self._wall_ms() if block_ms is None else block_ms
        return BlockContext(tip.header.height + 1, next_block_ms(time_ms, tip.header))

    def _judge(
        self,
        offered: Offered,
        parameters: Parameters,
        state: DecodedState,
        context: BlockContext,
        *,
        strict: bool,
    ) -> _Believed | OnChain | InvalidMessage:
        prepared = prepare(offered.raw, parameters)
        if self._store.is_recent(prepared.id):
            return OnChain(prepared.id)
        try:
            keys = admissible(state, context, prepared)
        except InvalidMessage as refusal:
            # What was committed long ago has expired since, and is nobody's fault either.
            if refusal.code == EXPIRED and self._store.find_transaction(prepared.id) is not None:
                return OnChain(prepared.id)
            raise
        key = self._authenticate(prepared, keys)
        if strict:
            _check(state, context, prepared)
        refs = prepared.transaction.attachments
        came = _named(refs, offered.attachments, parameters)
        # Of what came along, the store finds out soon what is not new.
        here = [
            ref.hash
            for ref in refs
            if ref.hash not in came or self._attachments.is_awaited(ref.hash)
        ]
        if self._attachments.committed(here):
            return self._repeated(prepared)
        missing = tuple(
            [
                ref.hash
                for ref in refs
                if ref.hash not in came and not self._attachments.has(ref.hash)
            ]
        )
        if strict and missing:
            index = [ref.hash for ref in refs].index(missing[0])
            raise InvalidMessage(
                "transaction.attachment_missing",
                f"attachments[{index}]",
                "neither sent along nor uploaded before",
            )
        return _Believed(prepared, key, came, missing)

    def _repeated(self, prepared: Prepared) -> OnChain | InvalidMessage:
        """An attachment belongs to the transaction that committed it, and to no other."""
        if self._store.find_transaction(prepared.id) is not None:
            return OnChain(prepared.id)  # It was committed while it was judged.
        refs = [ref.hash for ref in prepared.transaction.attachments]
        committed = self._attachments.committed(refs)
        index = next((at for at, each in enumerate(refs) if each in committed), 0)
        return InvalidMessage(
            COMMITTED_ALREADY,
            f"attachments[{index}].hash",
            "an earlier transaction committed this attachment; seal the content anew",
        )

    def _authenticate(self, prepared: Prepared, keys: Sequence[bytes]) -> bytes:
        """Checks signature and co-signatures; returns the one of `keys` that signed."""
        message = signing_payload(prepared.signed, self._genesis.hash)
        for key in keys:
            if verify(key, prepared.signature, message):
                check_signed_within(prepared, self._genesis.hash)
                return key
        raise InvalidMessage(
            "transaction.wrong_signature",
            "signature",
            "not the sender's valid key over this chain's transaction",
        )

    def _keep(
        self, believed: Sequence[_Believed | OnChain | InvalidMessage | Rejected]
    ) -> list[Outcome]:
        """Stores what came along: of the whole batch in one piece, and where that is refused, one
        by one, so that each sender hears of its own."""
        batch = [each for each in believed if isinstance(each, _Believed)]
        try:
            fresh = self._attachments.put_many(
                (item for each in batch for item in each.came.items()), _owners(batch)
            )
        except (AttachmentErased, QuotaExceeded):
            return [
                self._keep_one(each) if isinstance(each, _Believed) else each for each in believed
            ]
        return [
            self._admitted(each, fresh) if isinstance(each, _Believed) else each
            for each in believed
        ]

    def _admitted(self, believed: _Believed, fresh: Container[bytes]) -> Outcome:
        known = [digest for digest in believed.came if digest not in fresh]
        if known and self._attachments.committed(known):
            return self._repeated(believed.prepared)
        kept = tuple([digest for digest in believed.came if digest in fresh])
        return Admitted(believed.prepared, believed.key, kept, believed.missing)

    def _keep_one(self, believed: _Believed) -> Outcome:
        try:
            fresh = self._attachments.put_many(believed.came.items(), _owners([believed]))
            return self._admitted(believed, fresh)
        except AttachmentErased:
            return InvalidMessage(
                "attachment.erased", "attachments", "erased for good; it is never taken again"
            )
        except ShareExceeded:
            return Busy("attachment.sender_share", SHARE_IS_FULL)
        except QuotaExceeded:
            return Busy("attachment.quota", "the room for attachments in waiting is full")


def _check(state: DecodedState, context: BlockContext, prepared: Prepared) -> None:
    """`check`, which lets through what is refused and kept."""
    try:
        check(state, context, prepared)
    except Rejected as refusal:
        actions = dict(enumerate(prepared.actions))
        if not any(evidence_in(actions, Result(refusal.code, refusal.field))):
            raise


def _owners(batch: Sequence[_Believed]) -> dict[bytes, bytes]:
    """On whose account what came along waits: its sender's."""
    return {each: one.prepared.transaction.sender for one in batch for each in one.came}


def _named(
    refs: Sequence[AttachmentRef], attachments: Sequence[bytes], parameters: Parameters
) -> dict[bytes, bytes]:
    """What came along, by hash. Raises `InvalidMessage` for what the transaction does not name."""
    if sum(map(len, attachments)) > parameters.inline_attachment_bytes_max:
        raise InvalidMessage(
            "transaction.attachments_too_large",
            "attachments",
            f"{parameters.inline_attachment_bytes_max} bytes travel with a transaction; "
            "upload larger ones first",
        )
    sizes = {ref.hash: ref.size for ref in refs}
    came = {sha256(raw).digest(): raw for raw in attachments}
    for digest, raw in came.items():
        if sizes.get(digest) != len(raw):
            raise InvalidMessage(
                "transaction.attachment_wrong", "attachments", "named by no hash and size"
            )
    return came
