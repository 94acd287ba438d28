"""Genesis files: two clothes, one hash; and what no network may start from."""

import json

import msgspec
import pytest
from chain_world import World

from chain.document import from_document, schema, to_document
from chain.errors import InvalidMessage
from chain.genesis import GENESIS, Genesis, Member, check_genesis


def test_document_and_bytes_are_the_same_genesis(world: World) -> None:
    document = json.loads(json.dumps(to_document(world.genesis)))
    again = from_document(Genesis, document)
    assert again == world.genesis
    assert again.hash == world.genesis.hash
    assert GENESIS.decode(GENESIS.encode(again)) == again
    check_genesis(again)


@pytest.mark.parametrize(
    ("path", "value", "code", "field"),
    [
        (("members", 0, "role"), "spa", "document.wrong_value", "members[0].role"),
        (("members", 0, "colour"), 1, "document.unknown_field", "members[0].*"),
        (("members", 0, "id"), "A", "document.wrong_value", "members[0].id"),
        (("members", 1, "node", "consensus_key"), "zz", "document.wrong_value",
         "members[1].node.consensus_key"),
        (("members",), {}, "document.wrong_type", "members"),
        (("time_ms",), "1", "document.wrong_value", "time_ms"),
    ],
)  # fmt: skip
def test_a_bad_document_is_refused_at_the_field(
    world: World, path: tuple[str | int, ...], value: object, code: str, field: str
) -> None:
    document = json.loads(json.dumps(to_document(world.genesis)))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidMessage) as caught:
        from_document(Genesis, document)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_document_is_refused_without_repeating_it(world: World) -> None:
    honest = json.dumps(to_document(world.genesis))
    for old, new in (
        ('"hospital"', '"MARISOL"'),
        ('"role"', '"MARISOL"'),
        ('"chain_id": "net"', '"chain_id": "MARISOL VASQUEZ"'),
    ):
        with pytest.raises(InvalidMessage) as caught:
            from_document(Genesis, json.loads(honest.replace(old, new, 1)))
        assert "MARISOL" not in f"{caught.value} {caught.value.cause} {caught.value.field}"
        assert caught.value.cause


def test_an_unknown_field_is_counted_and_the_known_ones_named(world: World) -> None:
    document = to_document(world.genesis.members[0]) | {"colour": 1}
    with pytest.raises(InvalidMessage) as caught:
        from_document(Member, document)
    assert caught.value.field == "*"
    assert caught.value.cause.startswith(f"field number {len(document)} has no meaning here")
    assert "encryption_key" in caught.value.cause


def replace_member(genesis: Genesis, **changes: object) -> Genesis:
    first = msgspec.structs.replace(genesis.members[0], **changes)
    return msgspec.structs.replace(genesis, members=(first, *genesis.members[1:]))


def test_no_network_starts_from_these(world: World) -> None:
    genesis = world.genesis
    replace = msgspec.structs.replace
    bad = {
        "genesis.proposer": replace(genesis, first_proposer="nobody"),
        "genesis.members": replace(genesis, members=genesis.members[::-1]),
        "genesis.repeated_principal": replace_member(
            genesis, principals=genesis.members[1].principals
        ),
        "genesis.no_administrator": replace_member(
            genesis,
            principals=(replace(genesis.members[0].principals[0], kind="clinician"),),
        ),
        "genesis.buckets": replace(
            genesis, parameters=replace(genesis.parameters, state_buckets=100)
        ),
        "genesis.timeout": replace(
            genesis, parameters=replace(genesis.parameters, timeout_ms_max=10)
        ),
    }
    for code, candidate in bad.items():
        with pytest.raises(InvalidMessage) as caught:
            check_genesis(candidate)
        assert caught.value.code == code


def test_the_schema_describes_the_document(world: World) -> None:
    described = schema(Genesis)
    assert set(described["properties"]) == set(to_document(world.genesis))
    assert described["additionalProperties"] is False
