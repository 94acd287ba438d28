"""`medlock testnet demo supply`: goods from the maker to a patient, told on a running test network,
with a cold chain that breaks, a counterfeit, a recall, and everything that somebody might try.

Every step is a command that a member would type. The goods are made up and new each time.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.cli.telling import Broken, Teller, Told
from node.errors import Exit
from node.supply_demo import events, names
from node.testnet.making import ADMINISTRATOR
from node.testnet.state import Testnet

MAKER: Final = "manufacturer"
WHOLESALER: Final = "wholesaler"
HOSPITAL: Final = "hospital-a"
OTHER: Final = "hospital-b"
PRODUCT: Final = names.gtin(10_101)
BULK: Final = names.gtin(10_102)
LOT: Final = "A2611"
EXPIRED_LOT: Final = "E2610"
PATIENT: Final = "our patient 4711"
HOUR_MS: Final = 3_600_000


def tell_supply_story(network: Testnet, samples: Path, tell: Callable[[Told], None]) -> list[Told]:
    """All steps, as far as they came; the last one is wrong where the story broke."""
    with tempfile.TemporaryDirectory() as folder:
        teller = Teller(network, Path(folder), tell)
        with contextlib.suppress(Broken):
            _Story(teller, samples, _Goods.fresh()).tell()
        return teller.told


@dataclass(frozen=True, slots=True)
class _Goods:
    """The names of this telling's goods, of which nobody has heard before."""

    run: str
    number: int

    @staticmethod
    def fresh() -> "_Goods":
        run = os.urandom(4)
        return _Goods(run.hex().upper(), int.from_bytes(run, "big") % 9_999_000)

    def pack(self, number: int) -> str:
        return names.pack(PRODUCT, f"{self.run}{number:04}")

    def unit(self, number: int) -> str:
        return names.sscc(self.number * 100 + number)

    @property
    def lot(self) -> str:
        return names.lot(PRODUCT, LOT + self.run)

    @property
    def bulk(self) -> str:
        return names.lot(BULK, LOT + self.run)

    @property
    def logger(self) -> str:
        return names.asset(self.number)

    def renamed(self, text: str) -> str:
        """A sample, about this telling's goods."""
        for number in range(1, 13):
            old = names.link(names.pack(PRODUCT, f"S{number:04}"))
            text = text.replace(f'"{old}"', f'"{names.link(self.pack(number))}"')
        for number in (1, 2, 10):
            text = text.replace(names.sscc(110_000 + number), self.unit(number))
        return text.replace(f'"{LOT}"', f'"{LOT}{self.run}"')

    def barcode(self, number: int, *, lot: str | None = None) -> str:
        """What a scanner reads on a pack; 310630 is the day on which it expires."""
        found = lot or LOT + self.run
        return f"(01){PRODUCT}(21){self.run}{number:04}(17)310630(10){found}"


@dataclass(frozen=True, slots=True)
class _Story:
    teller: Teller
    samples: Path
    goods: _Goods

    def tell(self) -> None:
        self._register()
        self._make()
        self._to_wholesaler()
        self._to_hospital()
        self._dispense()
        self._cold_chain()
        self._counterfeit()
        self._expired()
        self._quantity()
        self._recall()
        self._look_back()

    # What the steps are made of.

    def _sample(self, name: str) -> str:
        text = (self.samples / f"{name}.json").read_text("utf-8")
        return self.teller.file(f"{name}.json", self.goods.renamed(text))

    def _event(self, name: str, *made: events.Event) -> str:
        return self.teller.file(f"{name}.json", json.dumps(events.document(made, _now_ms())))

    def _capture(self, says: str, file: str, member: str, *more: str) -> Any:
        return self.teller.do(
            says,
            *("supply", "capture", file, *more, "--as", member),
            outcome=lambda made: f"{_count(made['events'])} at height {made['height']}",
        )

    def _try(self, says: str, name: str, event: events.Event, member: str, code: str) -> None:
        """A fraud: refused with its code, and kept."""
        more = ("--patient", PATIENT) if event["bizStep"] == "dispensing" else ()
        arguments = ("supply", "capture", self._event(name, event), *more, "--as", member)
        self.teller.refuse(says, *arguments, code=code)

    # The story.

    def _register(self) -> None:
        for member in (MAKER, WHOLESALER, HOSPITAL, OTHER):
            number = names.gln(member)
            if self._known("party", number, member):
                continue
            self.teller.do(
                f"{member} says by which Global Location Number it goes.",
                *("supply", "party", "register", number, "--as", member + ADMINISTRATOR),
                outcome=lambda made: f"on the chain at height {made['height']}",
            )
        for product, limits in (
            (PRODUCT, ("--temperature", "2", "8", "--excursion-hours", "0.5")),
            (BULK, ()),
        ):
            if not self._known("product", product, MAKER):
                self.teller.do(
                    "The manufacturer registers a product, with its limits.",
                    *("supply", "product", "register", product, *limits),
                    *("--as", MAKER + ADMINISTRATOR),
                    outcome=lambda made: f"its own from height {made['height']} on",
                )

    def _known(self, what: str, number: str, member: str) -> bool:
        ran = self.teller.run("supply", what, "show", number, "--as", member)
        return ran.exit_code == Exit.OK

    def _make(self) -> None:
        goods = self.goods
        self._capture(
            "The manufacturer commissions twelve packs of a lot.",
            self._sample("commissioning"),
            MAKER,
        )
        again = events.commissioning(
            MAKER, [goods.pack(1)], LOT + goods.run, "2031-06-30", _now_ms()
        )
        self._try(
            "Nobody commissions a serial number a second time: a copied label is worth nothing.",
            "copied-label", again, MAKER, "supply.already_commissioned",
        )  # fmt: skip
        stranger = events.commissioning(
            WHOLESALER, [goods.pack(99)], LOT + goods.run, "2031-06-30", _now_ms()
        )
        self._try(
            "Nor does anybody but its manufacturer.",
            "foreign-label", stranger, WHOLESALER, "supply.not_manufacturer",
        )  # fmt: skip
        self._capture(
            "It packs them in two cases, and these on a pallet.", self._sample("packing"), MAKER
        )

    def _to_wholesaler(self) -> None:
        goods = self.goods
        pallet = goods.unit(10)
        stolen = events.shipping(OTHER, [pallet], WHOLESALER, _now_ms())
        self._try(
            "Hospital B cannot ship what it does not have.",
            "stolen", stolen, OTHER, "supply.not_custodian",
        )  # fmt: skip
        self._capture(
            "The manufacturer ships the pallet: one write moves all that is on it.",
            self._sample("shipping"),
            MAKER,
        )
        diverted = events.receiving(OTHER, [pallet], _now_ms())
        self._try(
            "Nobody receives it but the one to whom it is sent.",
            "diverted", diverted, OTHER, "supply.not_receiver",
        )  # fmt: skip
        self.teller.do(
            "Where is a pack now? The ledger answers from the pallet that it is on.",
            *("supply", "locate", goods.barcode(1), "--as", OTHER),
            outcome=lambda found: (
                f"in transit to {found['shipment']['shipment']['receiver']}, "
                f"{len(found['containers'])} containers around it"
            ),
        )
        self._capture(
            "The wholesaler receives the pallet and takes the cases off it.",
            self._sample("receiving"),
            WHOLESALER,
        )

    def _to_hospital(self) -> None:
        goods = self.goods
        name = f"logger-{goods.run.lower()}"
        card = self.teller.do(
            "It has a temperature logger, with keys of its own.",
            *("wallet", "new", name, "--demo", "--kind", "device", "--org", WHOLESALER),
            *("--asset", goods.logger),
            outcome=lambda made: f"its id is {made['card']['id']}",
        )["card"]
        file = self.teller.file(f"{name}.json", json.dumps(card))
        self.teller.do(
            "Its administrator enrols it.",
            *("principal", "enrol", file, "--as", WHOLESALER + ADMINISTRATOR),
            outcome=lambda made: f"on the chain at height {made['height']}",
        )
        since_ms = _now_ms() - 2 * HOUR_MS
        attached = events.attaching(WHOLESALER, goods.unit(2), goods.logger, since_ms)
        self._capture("The logger goes on the second case.", self._event("logger", attached),
                      WHOLESALER)  # fmt: skip
        self._capture(
            "Both cases go on to the pharmacy of hospital A.",
            self._sample("shipping-on"),
            WHOLESALER,
        )

    def _dispense(self) -> None:
        goods = self.goods
        self._capture(
            "Hospital A receives them, and opens the first case.",
            self._sample("receiving-at-hospital"),
            HOSPITAL,
        )
        sealed = events.dispensing(HOSPITAL, [goods.pack(7)], _now_ms())
        self._try(
            "Out of a sealed case nothing is dispensed.",
            "sealed-case", sealed, HOSPITAL, "supply.packed",
        )  # fmt: skip
        self.teller.do(
            "The pharmacist scans a pack before she dispenses it.",
            *("supply", "verify", goods.barcode(1), "--as", HOSPITAL),
            outcome=lambda told: "it may be dispensed" if told["dispensable"] else "it may not",
        )
        self._capture(
            "She dispenses it; who the patient is, only her pharmacy can tell.",
            self._sample("dispensing"),
            HOSPITAL,
            *("--patient", PATIENT),
        )
        twice = events.dispensing(HOSPITAL, [goods.pack(1)], _now_ms())
        self._try("Once.", "twice", twice, HOSPITAL, "supply.final")

    def _cold_chain(self) -> None:
        goods = self.goods
        case = goods.unit(2)
        now_ms = _now_ms()
        warm = events.measuring(
            WHOLESALER, case, goods.logger, ("6.5", "11.5"), (now_ms - HOUR_MS, now_ms)
        )
        self._capture(
            "The logger's readings come in: the second case was too warm for an hour.",
            self._event("readings", warm),
            WHOLESALER,
        )
        self._capture(
            "Hospital A opens the second case.",
            self._event("second-case", events.unpacking(HOSPITAL, case, _now_ms())),
            HOSPITAL,
        )
        spoilt = events.dispensing(HOSPITAL, [goods.pack(7)], _now_ms())
        self._try(
            "What was in it is not dispensed before the manufacturer has released it.",
            "spoilt", spoilt, HOSPITAL, "supply.excursion",
        )  # fmt: skip
        self._refused_pack("A scan says why.", goods.barcode(7), HOSPITAL, "excursion")
        self.teller.do(
            "The manufacturer's quality unit looks at the readings, and decides.",
            *("supply", "excursion", "dispose", goods.pack(7), "destroy"),
            *("--as", MAKER + ADMINISTRATOR),
            outcome=lambda made: f"{made['disposal']}, at height {made['height']}",
        )

    def _refused_pack(self, says: str, scanned: str, member: str, code: str) -> None:
        ran = self.teller.run("supply", "verify", scanned, "--as", member)
        found = ran.printed or {}
        codes = [each["code"] for each in found.get("findings", ())]
        self.teller.look(
            f"{says} ($ medlock supply verify {scanned!r} --as {member})",
            ran.exit_code == Exit.CHECK_FAILED and code in codes,
            f"exit {ran.exit_code}: {', '.join(codes)}",
            f"exit {ran.exit_code}: {ran.error or codes}",
        )

    def _counterfeit(self) -> None:
        goods = self.goods
        false = goods.barcode(666)
        self._refused_pack(
            "Hospital B is offered a pack that nobody made.", false, OTHER, "unknown"
        )
        invented = events.dispensing(OTHER, [goods.pack(666)], _now_ms())
        self._try(
            "It cannot dispense it either.",
            "invented", invented, OTHER, "supply.unknown_item",
        )  # fmt: skip
        self.teller.do(
            "It reports the pack.",
            *("supply", "suspect", "report", false, "--reason", "counterfeit", "--as", OTHER),
            outcome=lambda made: f"on the chain at height {made['height']}",
        )
        asked = self.teller.do(
            "It asks the manufacturer.",
            *("supply", "verification", "ask", false, "--as", OTHER),
            outcome=lambda made: f"asked at height {made['height']}",
        )
        self.teller.do(
            "The manufacturer answers.",
            *("supply", "verification", "answer", asked["verification"], "counterfeit"),
            *("--as", MAKER),
            outcome=lambda made: f"{made['verdict']}, at height {made['height']}",
        )

    def _expired(self) -> None:
        goods = self.goods
        pack = goods.pack(50)
        yesterday = time.strftime("%Y-%m-%d", time.gmtime(_now_ms() / 1_000 - 86_400))
        made = events.commissioning(MAKER, [pack], EXPIRED_LOT + goods.run, yesterday, _now_ms())
        sent = events.shipping(MAKER, [pack], HOSPITAL, _now_ms()) | {"disposition": "disposed"}
        self._capture(
            "A pack that expired yesterday goes to hospital A, whose incinerator is to burn it.",
            self._event("expired", made, sent),
            MAKER,
        )
        self._capture(
            "It arrives.",
            self._event("expired-arrives", events.receiving(HOSPITAL, [pack], _now_ms())),
            HOSPITAL,
        )
        self._try(
            "Nobody gives it to a patient.",
            "expired-given", events.dispensing(HOSPITAL, [pack], _now_ms()), HOSPITAL,
            "supply.expired",
        )  # fmt: skip

    def _quantity(self) -> None:
        goods = self.goods
        made = events.making(MAKER, goods.bulk, "100", "KGM", "2031-06-30", _now_ms())
        self._capture(
            "The manufacturer makes a hundred kilograms of something.",
            self._event("bulk", made),
            MAKER,
        )
        more = events.shipping_of_amount(MAKER, goods.bulk, "150", "KGM", WHOLESALER, _now_ms())
        self._try(
            "It cannot ship a hundred and fifty of them.",
            "conjured", more, MAKER, "supply.not_enough",
        )  # fmt: skip

    def _recall(self) -> None:
        goods = self.goods
        opened = self.teller.do(
            "Months later the manufacturer recalls the lot.",
            *("supply", "recall", "open", goods.lot, "--class", "I"),
            *("--as", MAKER + ADMINISTRATOR),
            outcome=lambda made: f"in force from height {made['height']} on",
        )
        late = events.dispensing(HOSPITAL, [goods.pack(2)], _now_ms())
        self._try(
            "From the next block on nothing of it is dispensed, wherever it is.",
            "recalled", late, HOSPITAL, "supply.recalled",
        )  # fmt: skip
        recall = opened["recall"]
        own = self.teller.file("patients.txt", f"our patient 4710\n{PATIENT}\n")
        found = self.teller.do(
            "Hospital A tries the tags of what it dispensed with its own list of patients.",
            *("supply", "recall", "patients", recall, "--patients", own, "--as", HOSPITAL),
            outcome=lambda told: ", ".join(
                f"{each['item']} went to {each['patient'] or 'nobody on it'}"
                for each in told["packs"]
            ),
        )
        counts = found["counts"]
        self.teller.do(
            "It tells him, and says how many packs and patients it found.",
            *("supply", "recall", "acknowledge", recall, "--held", str(counts["held"])),
            *("--dispensed", str(counts["dispensed"]), "--resolved", str(counts["resolved"])),
            *("--notified", str(counts["resolved"]), "--as", HOSPITAL),
            outcome=lambda made: f"acknowledged at height {made['height']}",
        )
        self.teller.do(
            "The regulator sees how far the recall is.",
            *("supply", "recall", "show", recall, "--as", "regulator"),
            outcome=lambda shown: "; ".join(
                f"{each['organization']} holds {each['held']}, dispensed {each['dispensed']}, "
                + ("has answered" if each["acknowledgement"] else "has not answered")
                for each in shown["progress"]
            ),
        )

    def _look_back(self) -> None:
        goods = self.goods
        tried = {
            "supply.already_commissioned",
            "supply.not_manufacturer",
            "supply.not_custodian",
            "supply.not_receiver",
            "supply.packed",
            "supply.final",
            "supply.excursion",
            "supply.unknown_item",
            "supply.expired",
            "supply.not_enough",
            "supply.recalled",
        }

        def told(found: dict[str, Any]) -> str:
            missing = tried - {each["code"] for each in found["attempts"]}
            if missing:
                return f"missing: {', '.join(sorted(missing))}"
            return (
                f"{len(found['attempts'])} attempts, each with who made it; "
                f"the manufacturer has {len(found['alerts'])} things to see to"
            )

        self.teller.wait(
            "Everything that was tried is on the chain, and every member is told.",
            *("supply", "alerts", "--of", MAKER, "--as", "regulator"),
            until=lambda found: tried <= {each["code"] for each in found["attempts"]},
            outcome=told,
        )
        traced = self.teller.do(
            "The way of the dispensed pack, from the line to the patient.",
            *("supply", "trace", goods.barcode(1), "--documents", "--as", "regulator"),
            outcome=lambda found: " → ".join(
                each["event"]["step"] for each in found["trace"]["legs"][0]["steps"]
            ),
        )
        transaction = traced["trace"]["legs"][0]["steps"][-1]["event"]["transaction"]
        receipt = str(self.teller.folder / "receipt")
        self.teller.do(
            "Each step has a receipt,",
            *("receipt", "get", transaction, "-o", receipt, "--as", "regulator"),
            outcome=lambda _: "fetched",
        )
        self.teller.do(
            "which anybody can verify without a network.",
            *("receipt", "verify", receipt, "--genesis", str(self.teller.network.genesis)),
            outcome=lambda found: f"valid, at height {found['height']}",
        )


def _count(found: list[Any]) -> str:
    return f"{len(found)} event{'s' if len(found) > 1 else ''}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
