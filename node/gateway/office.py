"""The organisation's office: builds transactions as its service, and sees them committed.

The one place of the gateway that signs. Must not know what the transactions are for.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from chain.errors import InvalidMessage, Rejected
from chain.genesis import Parameters
from client.builder import BuiltTransaction, Network, TransactionBuilder
from client.category import Recipient
from client.sealing import Random
from client.wallet import Wallet
from ledger import queries
from ledger.ids import organization_owner
from node.admission import SHARE_IS_FULL
from node.backend import Backend, Busy, Committed
from node.clock import Clock, next_block_ms
from storage.errors import AttachmentErased, QuotaExceeded, ShareExceeded

VALIDITY_MS: Final = 60_000
"""How long after the next block's time a transaction of ours can still be committed: longer than a
change of the primary takes, and than members' clocks may differ."""
COMMIT_S: Final = 10.0
"""How long a commit is waited for, unless the caller says otherwise."""


class NoQuorum(Exception):  # noqa: N818 - nobody here is at fault
    """Nothing is committed at present.

    Where `submitted`, the transaction is under way all the same, and may still be committed until
    its validity ends: whoever asks again must expect to find it done.
    """

    code: Final = "network.no_quorum"
    cause: Final = "too few members are connected to agree on anything"

    def __init__(self, *, submitted: bool) -> None:
        super().__init__(self.code)
        self.submitted = submitted


class Office:
    """`member` is the organisation, `owner` the id under which it owns and authors."""

    def __init__(self, backend: Backend, wallet: Wallet, random: Random, clock: Clock) -> None:
        """`wallet` is the organisation's service wallet."""
        assert wallet.organization is not None, "a service belongs to an organisation"
        self.backend = backend
        self.wallet = wallet
        self.random = random
        self.clock = clock
        self.member = wallet.organization
        self.owner = organization_owner(self.member)
        self.network = Network(backend.genesis.chain_id, backend.genesis.hash)

    @property
    def recipient(self) -> Recipient:
        """The organisation, as somebody to whom keys are sealed."""
        return Recipient(self.owner, self.wallet.organization_keys[0].public)

    def builder(self) -> TransactionBuilder:
        """A new transaction, of which the service is the sender."""
        return TransactionBuilder(self.network, self.wallet, self.random)

    def next_block_ms(self) -> int:
        """The time that the next block has at least (UTC milliseconds): what is decided now is
        decided for this."""
        tip = self.backend.store.tip()
        assert tip is not None, "a running node has a genesis block"
        return next_block_ms(self.clock.wall_ms(), tip.header)

    def parameters(self) -> Parameters:
        """What the consortium agrees on at the tip."""
        return queries.parameters(self.backend.store.state)

    def sign(self, builder: TransactionBuilder) -> BuiltTransaction:
        """The transaction of `builder`, valid for `VALIDITY_MS`."""
        return builder.sign(self.next_block_ms() + VALIDITY_MS)

    async def commit(self, builder: TransactionBuilder, timeout_s: float = COMMIT_S) -> Committed:
        """Signs what `builder` holds and sees it committed: `send` of `sign`."""
        return await self.send(await self.backend.in_thread(lambda: self.sign(builder)), timeout_s)

    async def send(self, built: BuiltTransaction, timeout_s: float = COMMIT_S) -> Committed:
        """Has a signed transaction committed; sending the same one again is harmless.

        Raises `Rejected` (a rule of the ledger says no, at the door or in the block),
        `InvalidMessage`, `Busy`, and `NoQuorum` where nothing can be committed or was in time.
        """
        if not self.backend.ready():
            raise NoQuorum(submitted=False)
        inline = await self._inline(built)
        transaction_id = await self.backend.submit(built.raw, inline)
        committed = await self.backend.committed(transaction_id, timeout_s)
        if committed is None:
            raise NoQuorum(submitted=True)
        if not committed.result.ok:
            raise Rejected(committed.result.code, committed.result.field)
        return committed

    async def _inline(self, built: BuiltTransaction) -> tuple[bytes, ...]:
        """The attachments that travel with the transaction; where they are too large together, none
        does, and all are uploaded before."""
        if not built.attachments:
            return ()
        backend = self.backend
        parameters = await backend.in_thread(self.parameters)
        if sum(map(len, built.attachments)) <= parameters.inline_attachment_bytes_max:
            return built.attachments
        items = {sha256(raw).digest(): raw for raw in built.attachments}
        await backend.in_thread(lambda: self._upload(items))
        for digest, raw in items.items():
            backend.uploaded(digest, len(raw))
        return ()

    def _upload(self, items: Mapping[bytes, bytes]) -> None:
        store, account = self.backend.attachments, self.wallet.principal
        try:
            store.put_many(items.items(), dict.fromkeys(items, account))
            store.sync()
        except AttachmentErased:
            raise InvalidMessage(
                "attachment.erased", "attachments", "erased for good; it is never taken again"
            ) from None
        except ShareExceeded:
            raise Busy("attachment.sender_share", SHARE_IS_FULL) from None
        except QuotaExceeded:
            raise Busy("attachment.quota", "the room for attachments in waiting is full") from None
