"""SMART scopes for FHIR: who is granted what, in which spelling, and what a scope opens."""

import pytest

from node.api.access import fhir, narrowed, scopes_of
from node.api.fhir_scopes import FHIR_ALL, FhirScope, parse
from tests.node.api.conftest import Node

HERE, ELSEWHERE = "hospital-a", "hospital-b"


@pytest.mark.parametrize(
    ("text", "resource_type", "permissions"),
    [
        ("system/*.read", "*", "rs"),
        ("system/*.write", "*", "cud"),
        ("system/*.*", "*", "cruds"),
        ("system/Observation.read", "Observation", "rs"),
        ("system/Observation.rs", "Observation", "rs"),
        ("system/Patient.cruds", "Patient", "cruds"),
        ("system/Patient.s", "Patient", "s"),
    ],
)
def test_both_spellings_are_read(text: str, resource_type: str, permissions: str) -> None:
    assert parse(text) == FhirScope(text, resource_type, permissions)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "system/*",
        "system/*.",
        "system/*.sr",
        "system/*.reads",
        "system/observation.read",
        "system/Observation.rs?category=laboratory",
        "user/*.read",
        "patient/*.read",
        "system/*.read ",
        "ledger.read",
    ],
)
def test_what_spells_no_scope_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("kind", ["clinician", "service"])
def test_readers_of_this_organisation_get_them_and_nobody_else_does(kind: str) -> None:
    assert scopes_of(kind, HERE, HERE) >= FHIR_ALL  # type: ignore[arg-type]
    assert not FHIR_ALL & scopes_of(kind, ELSEWHERE, HERE)  # type: ignore[arg-type]
    for other in ("administrator", "auditor", "device", "patient", "proxy"):
        assert not FHIR_ALL & scopes_of(other, HERE, HERE)  # type: ignore[arg-type]


def test_less_is_granted_in_the_spelling_in_which_it_was_asked_for() -> None:
    allowed = scopes_of("clinician", HERE, HERE)
    granted = narrowed(allowed, ["system/Observation.rs", "ledger.read", "node.operate", "x"])
    assert {scope.value for scope in granted} == {"system/Observation.rs", "ledger.read"}
    assert narrowed(scopes_of("auditor", HERE, HERE), ["system/*.read"]) == frozenset()


def test_a_route_asks_for_letters_and_the_type_in_its_path() -> None:
    held = narrowed(scopes_of("service", HERE, HERE), ["system/Patient.r", "system/*.s"])
    assert fhir("r").admits(held, "Patient")
    assert not fhir("r").admits(held, "Observation")
    assert fhir("rs").admits(held, "Patient")
    assert fhir("s").admits(held, "Observation")
    assert not fhir("c").admits(held, "Patient")
    assert fhir("").admits(held, None)
    assert not fhir("").admits(narrowed(held, ["ledger.read"]), None)
    assert fhir("r", "Patient").admits(held, None)


async def test_a_token_carries_what_was_asked_for(node: Node) -> None:
    reply = await node.sign_in(
        node.assertion(node.cast.clinician), scope="system/Observation.read system/Patient.rs"
    )
    assert reply.document["scope"] == "system/Observation.read system/Patient.rs"
    reply = await node.sign_in(node.assertion(node.cast.clinician))
    assert {"system/*.read", "system/*.write"} <= set(reply.document["scope"].split())
    for wallet in (node.cast.administrator, node.cast.neighbour, node.cast.auditor):
        reply = await node.sign_in(node.assertion(wallet), scope="system/*.read")
        assert (reply.status, reply.document["error"]) == (400, "invalid_scope")


async def test_the_configuration_announces_them(node: Node) -> None:
    document = (await node.get("/.well-known/smart-configuration")).document
    announced = set(document["scopes_supported"])
    assert {"system/*.read", "system/*.write", "system/*.rs", "system/*.cruds"} <= announced
    assert {"permission-v1", "permission-v2"} <= set(document["capabilities"])
