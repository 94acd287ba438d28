"""Load that is signed beforehand, so that the network is what is measured, and how it is sent."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from client.api import Api
from client.builder import BuiltTransaction, Network, TransactionBuilder
from client.category import CategoryKey, Recipient
from client.genesis_file import load_genesis
from client.transport import Call, Transport
from client.wallet import Wallet
from client.wire import CONTENT_TYPE, SUBMISSION, Submission
from ledger.ids import organization_owner
from node.config import NodeConfig
from node.errors import OperatorError
from node.testnet.network import operating
from node.testnet.state import Testnet

CONTENT: Final = (
    b'{"resourceType":"Observation","status":"final","code":{"text":"Body weight"},'
    b'"valueQuantity":{"value":71.4,"unit":"kg"}}'
)
"""What every record of the load holds, before padding and sealing."""
VALID_MS: Final = 3_000_000
BODY_BYTES: Final = 512 << 10
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Author:
    """A hospital that writes records of its own under one category key."""

    network: Network
    wallet: Wallet
    key: CategoryKey

    def transaction(self, actions: int) -> BuiltTransaction:
        """A signed transaction of `actions` new records."""
        builder = TransactionBuilder(self.network, self.wallet, os.urandom)
        for _ in range(actions):
            builder.put(CONTENT, self.key)
        return builder.sign(time.time_ns() // 1_000_000 + VALID_MS)

    def transactions(self, count: int, actions: int) -> list[BuiltTransaction]:
        """Many of them."""
        return [self.transaction(actions) for _ in range(count)]


async def open_author(testnet: Testnet, member: str) -> Author:
    """Opens a category of `member`'s own, sealed to itself."""
    genesis = load_genesis(testnet.genesis)
    wallet = testnet.directory(member).load_wallet(NodeConfig())
    network = Network(genesis.chain_id, genesis.hash)
    owner = organization_owner(member)
    builder = TransactionBuilder(network, wallet, os.urandom)
    key = builder.open_category(owner, (Recipient(owner, wallet.organization_keys[0].public),))
    built = builder.sign(time.time_ns() // 1_000_000 + VALID_MS)
    async with operating(testnet, member) as transport:
        await Api(transport).submit(built.raw, built.attachments)
    return Author(network, wallet, key)


def bodies(transactions: Sequence[BuiltTransaction]) -> list[bytes]:
    """Bodies for `POST /v1/transactions/batch`, of about `BODY_BYTES` each."""
    made: list[bytes] = []
    pieces: list[bytes] = []
    size = 0
    for each in transactions:
        raw = SUBMISSION.encode(Submission(each.raw, each.attachments))
        pieces.append(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
        size += len(raw)
        if size >= BODY_BYTES:
            made.append(b"".join(pieces))
            pieces, size = [], 0
    if pieces:
        made.append(b"".join(pieces))
    return made


async def post_batches(transport: Transport, made: Sequence[bytes]) -> None:
    """Posts one body after the other; a line that is not "accepted" fails the measurement."""
    for body in made:
        call = Call("POST", "/v1/transactions/batch", {}, body, {"Content-Type": CONTENT_TYPE})
        answer = await transport.call(call)
        for line in answer.body.splitlines():
            if b'"accepted"' not in line:
                raise OperatorError("E035", f"the batch was refused: {line[:200].decode()}")
