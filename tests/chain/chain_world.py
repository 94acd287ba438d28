"""Four members with keys, and a committed block, made from nothing but the formats."""

from chain.block import OK, ZERO_HASH, Header, Result, result_tree
from chain.certificate import COMMIT, Certificate, Commit, Seal
from chain.genesis import Genesis, GenesisPrincipal, Member, NodeEntry, Parameters
from chain.keys import Domain, EncryptionKey, SigningKey
from chain.merkle import MerkleTree
from chain.receipt import Receipt
from chain.transaction import SIGNED, SignedTransaction, Transaction, merkle_leaf, sign_transaction
from chain.validators import ValidatorSet

NAMES = ("hospital-a", "hospital-b", "manufacturer", "wholesaler")
ENCRYPTION = EncryptionKey(1, b"e" * 32)


class World:
    """`block(...)` certifies a header; `receipt(...)` proves a transaction in it."""

    def __init__(self) -> None:
        self.keys = {name: SigningKey(name.encode().ljust(32, b".")) for name in NAMES}
        self.sender = SigningKey(b"s" * 32)
        self.genesis = Genesis("net", 1_000, Parameters(), self.members(), NAMES[0])
        self.transactions = [self.transaction(bytes([i]) * 16) for i in range(5)]
        self.results = [OK, Result("record.exists", "actions[0]"), OK, OK, OK]

    def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(
                name,
                name.title(),
                "hospital",
                ENCRYPTION,
                (
                    GenesisPrincipal(
                        name.encode().ljust(16)[:16],
                        "administrator",
                        SigningKey(name.encode().ljust(32, b"a")).public,
                        ENCRYPTION,
                    ),
                ),
                NodeEntry(self.keys[name].public, b"certificate", ("127.0.0.1:1",)),
            )
            for name in NAMES
        )

    def transaction(self, nonce: bytes) -> SignedTransaction:
        body = Transaction(b"p" * 16, nonce, 5_000, (b"\x01\x90",), (), ())
        return sign_transaction(body, self.sender, self.genesis.hash)

    def header(
        self,
        height: int,
        validators: ValidatorSet,
        following: ValidatorSet,
        **changes: object,
    ) -> Header:
        leaves = [merkle_leaf(each.id, each.signature) for each in self.transactions]
        fields: dict[str, object] = {
            "chain_id": "net",
            "height": height,
            "parent_hash": ZERO_HASH,
            "timestamp_ms": 2_000,
            "proposer": NAMES[0],
            "transaction_root": MerkleTree(leaves).root,
            "result_root": result_tree(self.results).root,
            "state_root": ZERO_HASH,
            "validators_hash": validators.hash,
            "next_validators_hash": following.hash,
        }
        return Header(**(fields | changes))  # type: ignore[arg-type]

    def certify(
        self, header: Header, signers: tuple[str, ...] = NAMES[:3], view: int = 0
    ) -> Certificate:
        commit = COMMIT.encode(Commit(header.height, view, header.hash))
        return Certificate(
            header.height,
            view,
            header.hash,
            tuple(
                Seal(name, self.keys[name].sign(self.genesis.hash, Domain.COMMIT, commit))
                for name in signers
            ),
        )

    def receipt(self, index: int = 1, signers: tuple[str, ...] = NAMES[:3]) -> Receipt:
        validators = self.genesis.validators
        header = self.header(7, validators, validators)
        leaves = [merkle_leaf(each.id, each.signature) for each in self.transactions]
        return Receipt(
            SIGNED.encode(self.transactions[index]),
            self.results[index],
            MerkleTree(leaves).sides(index),
            MerkleTree(leaves).path(index),
            result_tree(self.results).path(index),
            header,
            self.certify(header, signers),
            (),
        )
