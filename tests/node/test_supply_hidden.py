"""Products whose serial numbers are hidden, command by command: who has the key follows a pack by
what is printed on it, and nobody else learns a serial number."""

import json
from typing import Any

import pytest

from client.api import Api
from client.wallet import load_wallet
from node.supply_demo import events, names
from tests.node.supply_market import EXPIRY, LOT, PRODUCT, Shop

AT_MS = 1_700_000_000_000
HIDDEN = names.gtin(10_102)
ADMINISTRATOR = "manufacturer-administrator"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """The wholesaler has the key of the hidden product; the hospitals have not."""
    if shop.run("supply", "product", "show", HIDDEN, "--as", "regulator").code != 0:
        shop.ok("supply", "product", "register", HIDDEN, "--hidden", "--as", ADMINISTRATOR)
        shop.ok("supply", "product", "share", HIDDEN, "wholesaler", "--as", ADMINISTRATOR)
    return shop


def hidden_packs(shop: Shop, size: int) -> list[str]:
    """Fresh packs of the hidden product, commissioned for their parties."""
    packs = [pack.replace(PRODUCT, HIDDEN) for pack in shop.fresh(size)]
    made = events.commissioning("manufacturer", packs, LOT, EXPIRY, AT_MS)
    shop.capture("manufacturer", made, more=("--visibility", "parties"))
    return packs


def everything_on_the_chain(shop: Shop) -> bytes:
    store = shop.ward.store
    tip = store.tip()
    assert tip is not None
    blocks = [store.block(height) for height in range(1, tip.header.height + 1)]
    state = [key + value for key, value in store.state.scan(b"")]
    return b"\n".join([raw for block in blocks if block for raw in block.transactions] + state)


def test_registering_says_who_has_the_key(shop: Shop) -> None:
    shown = shop.ok("supply", "product", "show", HIDDEN, "--as", "regulator")
    assert len(shown["product"]["seals"]) == 64
    (share,) = shown["shares"]
    assert share["organization"] == "wholesaler"
    assert share["sealed"] != shown["product"]["seals"]
    plain = shop.ok("supply", "product", "show", PRODUCT, "--as", "regulator")
    assert (plain["product"]["seals"], plain["shares"]) == (None, [])


def test_a_pack_is_followed_by_its_serial_number_which_the_chain_never_has(shop: Shop) -> None:
    (pack,) = hidden_packs(shop, 1)
    sent = events.shipping("manufacturer", [pack], "wholesaler", AT_MS)
    shop.capture("manufacturer", sent, more=("--visibility", "parties"))
    received = events.receiving("wholesaler", [pack], AT_MS)
    shop.capture("wholesaler", received, more=("--visibility", "parties"))

    serial = pack.rpartition("/")[2]
    for name in (pack, names.link(pack), f"(01){HIDDEN}(21){serial}(10){LOT}"):
        found = shop.ok("supply", "locate", name, "--as", "wholesaler")
        assert (found["id"], found["custodian"]) == (pack, "wholesaler")
        assert found["lot"] == f"01/{HIDDEN}/10/{LOT}"
    told = shop.ok("supply", "trace", pack, "--documents", "--as", "wholesaler")
    (leg,) = told["trace"]["legs"]
    assert (leg["thing"], {each["thing"] for each in leg["steps"]}) == (pack, {pack})
    documents = [each["document"] for each in leg["steps"]]
    assert [each["differs"] for each in documents[1:]] == [[], []]
    assert all(each["unjudged"] == [] for each in documents[1:])
    checked = shop.run("supply", "verify", pack, "--as", "wholesaler", "--json").document
    assert (checked["item"], checked["dispensable"]) == (pack, True)
    kept = everything_on_the_chain(shop)
    assert serial.encode() not in kept
    assert f"01/{HIDDEN}/21".encode() in kept, "else this test looks at nothing"


@pytest.mark.parametrize("what", [("locate",), ("trace",), ("verify",)])
def test_who_has_no_key_is_told_so_and_asks_the_node_nothing(
    shop: Shop, what: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pack,) = hidden_packs(shop, 1)
    asked: list[str] = []
    before = Api.get_document

    async def watched(self: Api, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        asked.append(path)
        return await before(self, path, query)

    monkeypatch.setattr(Api, "get_document", watched)
    error = shop.refused("supply", *what, pack, "--as", "hospital-b")
    assert (error["code"], error["exit_code"]) == ("E032", 5)
    assert "product.key_not_shared" in error["cause"]
    assert f"medlock supply product share {HIDDEN}" in error["fix"]
    assert any(HIDDEN in path for path in asked)
    assert not [path for path in asked if pack.rpartition("/")[2] in path]


def test_its_tag_names_a_pack_for_whoever_read_it_off_the_chain(shop: Shop) -> None:
    (pack,) = hidden_packs(shop, 1)
    case = shop.unit()
    boxed = events.packing("manufacturer", case, [pack], AT_MS)
    shop.capture("manufacturer", boxed, more=("--visibility", "parties"))
    (tag,) = {
        raw.decode()
        for key, _ in shop.ward.store.state.scan(b"item/")
        if (raw := key.removeprefix(b"item/")).startswith(f"01/{HIDDEN}/21/~".encode())
        and shop.locate(raw.decode())["containers"] == [case]
    }
    assert len(tag.rpartition("/")[2]) == 23
    assert shop.locate(tag)["custodian"] == "manufacturer"
    error = shop.refused("supply", "locate", tag[:-1], "--as", "regulator")
    assert error["code"] == "E070"


def test_capturing_without_the_key_is_refused_and_counts_need_none(shop: Shop) -> None:
    (pack,) = hidden_packs(shop, 1)
    sent = events.shipping("manufacturer", [pack], "hospital-b", AT_MS)
    shop.capture("manufacturer", sent, more=("--visibility", "parties"))
    file = shop.document(events.receiving("hospital-b", [pack], AT_MS))
    error = shop.refused("supply", "capture", file, "--as", "hospital-b")
    assert (error["code"], "product.key_not_shared" in error["cause"]) == ("E032", True)
    assert error["fix"]
    shop.ok("supply", "product", "share", HIDDEN, "hospital-b", "--as", ADMINISTRATOR)
    assert shop.ok("supply", "capture", file, "--as", "hospital-b")["events"]
    lot = shop.ok("supply", "locate", f"01/{HIDDEN}/10/{LOT}", "--as", "hospital-a")
    assert lot["holders"], "how much is where is no secret"


def test_a_reader_without_the_key_judges_all_but_the_serial_numbers(shop: Shop) -> None:
    packs = [pack.replace(PRODUCT, HIDDEN) for pack in shop.fresh(2)]
    case = shop.unit()
    shop.capture(
        "manufacturer",
        events.commissioning("manufacturer", packs, LOT, EXPIRY, AT_MS),
        events.packing("manufacturer", case, packs, AT_MS + 1),
    )
    for member, unjudged in (("wholesaler", []), ("hospital-a", [HIDDEN])):
        told = shop.ok("supply", "trace", case, "--documents", "--as", member)
        shown = told["trace"]["legs"][0]["steps"][0]["document"]
        assert (shown["differs"], shown["unjudged"]) == ([], unjudged)
    said = shop.says("supply", "trace", case, "--documents", "--as", "hospital-a")
    assert f"serial numbers not compared, hidden from you: {HIDDEN}" in said
    assert "OTHERWISE" not in said


def test_what_is_wrong_with_a_hidden_pack_is_said_of_its_tag(shop: Shop) -> None:
    (pack,) = hidden_packs(shop, 1)
    placed = shop.ok(
        *("supply", "quarantine", "place", pack, "--reason", "damage", "--as", "manufacturer")
    )
    assert placed["subject"] == pack
    found = shop.ok("supply", "locate", pack, "--as", "manufacturer")
    assert found["holds"] == ["quarantined"]
    assert [each["subject"] for each in found["reasons"]] == [pack]
    shop.ok("supply", "quarantine", "release", pack, "--as", ADMINISTRATOR)
    shop.ok("supply", "suspect", "report", pack, "--reason", "stolen", "--as", "wholesaler")
    shop.ok("supply", "verification", "ask", pack, "--as", "wholesaler")
    asked = shop.ok("supply", "verification", "list", "--as", "regulator")
    assert pack.rpartition("/")[2] not in json.dumps(asked)
    assert pack.rpartition("/")[2].encode() not in everything_on_the_chain(shop)
    error = shop.refused(
        *("supply", "suspect", "report", pack, "--reason", "stolen", "--as", "hospital-a")
    )
    assert "product.key_not_shared" in error["cause"]


@pytest.mark.parametrize(
    ("gtin", "member", "wallet", "said"),
    [
        (HIDDEN, "wholesaler", "wholesaler", "alone shares its key"),
        (PRODUCT, "wholesaler", ADMINISTRATOR, "not hidden"),
        (HIDDEN, "nobody", ADMINISTRATOR, "no organisation is named"),
        (names.gtin(10_199), "wholesaler", ADMINISTRATOR, "product.unknown"),
    ],
)
def test_only_the_manufacturer_shares_and_only_what_there_is(
    shop: Shop, gtin: str, member: str, wallet: str, said: str
) -> None:
    error = shop.refused("supply", "product", "share", gtin, member, "--as", wallet)
    assert said in error["cause"]


def test_the_service_of_a_manufacturer_shares_too(shop: Shop) -> None:
    done = shop.ok("supply", "product", "share", HIDDEN, "wholesaler", "--as", "manufacturer")
    assert done["shared_with"] == "wholesaler"
    secret = load_wallet(shop.path / "wallets" / "wholesaler.wallet", b"secret")
    assert secret.organization_keys, "who opens it, by this key"
    (pack,) = hidden_packs(shop, 1)
    assert shop.ok("supply", "locate", pack, "--as", "wholesaler")["id"] == pack
