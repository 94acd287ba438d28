"""Names of made-up goods and parties, below the company prefix that GS1 keeps for examples.

All check digits are right. A number gives the same name each time.
"""

from typing import Final

from client.epcis.keys import check_digit

PREFIX: Final = "9521141"
WEB: Final = "https://id.gs1.org/"
PARTIES: Final = (
    "manufacturer",
    "wholesaler",
    "hospital-a",
    "hospital-b",
    "pharmacy",
    "regulator",
)
"""The members of a test network; each has the GLN of its place in this list."""


def gtin(number: int) -> str:
    """The GTIN-14 of product `number`, below 100,000."""
    body = f"0{PREFIX}{number:05}"
    return body + check_digit(body)


def gln(member: str) -> str:
    """The GLN-13 of a member of the test network."""
    body = f"{PREFIX}{PARTIES.index(member) + 1:05}"
    return body + check_digit(body)


def sscc(number: int) -> str:
    """The logistic unit `number`, below a billion, as the ledger spells it."""
    body = f"3{PREFIX}{number:09}"
    return f"00/{body}{check_digit(body)}"


def pack(product: str, serial: str) -> str:
    """One pack of a GTIN, as the ledger spells it."""
    return f"01/{product}/21/{serial}"


def lot(product: str, number: str) -> str:
    """A lot of a GTIN, as the ledger spells it."""
    return f"01/{product}/10/{number}"


def asset(number: int) -> str:
    """A measuring device, as the ledger spells it."""
    return f"8004/{PREFIX}LOGGER{number:03}"


def link(name: str) -> str:
    """The Digital Link of a name of the ledger."""
    return WEB + name


def party(member: str) -> str:
    """The Digital Link of a member as a party."""
    return link(f"417/{gln(member)}")


def place(member: str) -> str:
    """The Digital Link of a member's place."""
    return link(f"414/{gln(member)}")
