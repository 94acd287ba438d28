"""A value of the state convinces with the genesis file alone, whatever the node that gives it."""

import copy
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import web

from chain.certificate import Certificate
from chain.document import to_document
from chain.lineage import LineageStep
from chain.validators import ValidatorSet
from client.api import Api, connect
from client.errors import ApiError
from client.verifier import NotVerified
from client.wire import to_base64url
from storage.state import StateTree
from tests.chain.chain_world import NAMES, World
from tests.client.client_world import Node
from tests.storage.held_buckets import HeldBuckets

KEY, VALUE = b"a key", b"its value"


class Dishonest:
    """What a node says about `KEY` at height 7, the fourth member having left after block 3."""

    def __init__(self) -> None:
        self.world = World()
        self.three = ValidatorSet(self.world.genesis.validators.validators[:3])
        self.stored, self.tree = HeldBuckets(), StateTree(16)
        staged = self.tree.stage(
            self.stored, {KEY: VALUE} | {b"key %d" % i: b"%d" % i for i in range(40)}
        )
        self.stored.apply(staged)
        self.tree.apply(staged)

    def lineage(self) -> tuple[LineageStep, ...]:
        change = self.world.header(3, self.world.genesis.validators, self.three)
        return (LineageStep(change, self.world.certify(change), self.three.encode()),)

    def proof(self, key: bytes) -> Any:
        digest = sha256(key).digest()
        return self.tree.prove(self.stored.get(self.tree.bucket_index(digest), b""), digest)

    def document(
        self,
        key: bytes = KEY,
        value: bytes | None = VALUE,
        *,
        root: bytes | None = None,
        signers: tuple[str, ...] = NAMES[:3],
        lineage: tuple[LineageStep, ...] | None = None,
    ) -> dict[str, Any]:
        root = self.tree.root if root is None else root
        header = self.world.header(7, self.three, self.three, state_root=root)
        certificate: Certificate = self.world.certify(header, signers)
        return {
            "key": key.hex(),
            "value": None if value is None else to_base64url(value),
            "header": to_document(header),
            "proof": to_document(self.proof(key)),
            "certificate": to_document(certificate),
            "lineage": [
                to_document(each) for each in (self.lineage() if lineage is None else lineage)
            ],
        }


@pytest.fixture(scope="module")
def liar() -> Dishonest:
    return Dishonest()


@pytest.fixture
async def node(ledger: Any) -> AsyncIterator[Node]:
    node = Node(ledger)
    async with node.serving():
        yield node


@pytest.fixture
async def api(node: Node) -> AsyncIterator[Api]:
    async with connect(node.base) as api:
        yield api


def saying(node: Node, document: Any) -> None:
    node.interruptions.append(lambda request: web.json_response(document))


async def refusal(node: Node, api: Api, liar: Dishonest, document: Any) -> str:
    saying(node, document)
    with pytest.raises(NotVerified) as caught:
        await api.state(KEY, liar.world.genesis)
    assert caught.value.fix
    return caught.value.code


async def test_presence_and_absence_are_proven(node: Node, api: Api, liar: Dishonest) -> None:
    saying(node, liar.document())
    found = await api.state(KEY, liar.world.genesis)
    assert (found.value, found.header.height) == (VALUE, 7)
    saying(node, liar.document(b"nothing", None))
    assert (await api.state(b"nothing", liar.world.genesis)).value is None
    assert node.requests[-1] == f"GET /v1/state/{b'nothing'.hex()}?proof=1"


async def test_a_made_up_value_or_absence_is_refused(node: Node, api: Api, liar: Dishonest) -> None:
    for value in (b"another", b"", None):
        code = await refusal(node, api, liar, liar.document(value=value))
        assert code == "state_proof.other_value"


async def test_the_proof_of_another_key_is_refused(node: Node, api: Api, liar: Dishonest) -> None:
    for number in range(40):
        other = b"key %d" % number
        code = await refusal(node, api, liar, liar.document(other, b"%d" % number))
        assert code.startswith("state_proof.")


async def test_a_root_that_no_quorum_signed_is_refused(
    node: Node, api: Api, liar: Dishonest
) -> None:
    document = liar.document()
    document["header"] = liar.document(root=bytes(32))["header"]
    assert await refusal(node, api, liar, document) == "lineage.other_block"
    few = liar.document(signers=NAMES[:1])
    assert await refusal(node, api, liar, few) == "certificate.no_quorum"
    left = liar.document(signers=(NAMES[0], NAMES[1], NAMES[3]))
    assert await refusal(node, api, liar, left) == "certificate.unknown_validator"


async def test_validators_out_of_nowhere_are_refused(node: Node, api: Api, liar: Dishonest) -> None:
    code = await refusal(node, api, liar, liar.document(lineage=()))
    assert code == "lineage.other_validators"
    (step,) = liar.lineage()
    forged = LineageStep(step.header, liar.world.certify(step.header, NAMES[:2]), step.validators)
    code = await refusal(node, api, liar, liar.document(lineage=(forged,)))
    assert code == "certificate.no_quorum"
    other = liar.world.genesis.validators.encode()
    swapped = LineageStep(step.header, step.certificate, other)
    code = await refusal(node, api, liar, liar.document(lineage=(swapped,)))
    assert code == "lineage.validators"


async def test_another_networks_word_is_refused(node: Node, api: Api) -> None:
    elsewhere = Dishonest()
    saying(node, elsewhere.document())
    world = World()
    world.genesis = type(world.genesis)(
        "net", 1_001, world.genesis.parameters, world.members(), NAMES[0]
    )
    with pytest.raises(NotVerified) as caught:
        await api.state(KEY, world.genesis)
    assert caught.value.code == "certificate.wrong_signature"


async def test_before_the_first_block_nothing_is_proven(
    node: Node, api: Api, liar: Dishonest
) -> None:
    document = liar.document() | {"certificate": None}
    assert await refusal(node, api, liar, document) == "state_proof.no_certificate"


def bent(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all strings and numbers."""
    if isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for name, each in items:
            yield from bent(each, (*path, name))
    elif document is not None:
        yield path


async def test_no_part_of_the_answer_can_be_another(node: Node, api: Api, liar: Dishonest) -> None:
    honest = liar.document()
    places = [path for path in bent(honest) if path != ("key",)]
    assert len(places) > 30
    for path in places:
        document = copy.deepcopy(honest)
        holder = document
        for name in path[:-1]:
            holder = holder[name]
        old = holder[path[-1]]
        if isinstance(old, int):
            holder[path[-1]] = old + 1
        else:
            holder[path[-1]] = ("B" if old[:1] != "B" else "C") + old[1:] if old else "AAAA"
        saying(node, document)
        with pytest.raises((NotVerified, ApiError)):
            await api.state(KEY, liar.world.genesis)
