"""What a name says of itself: the product and the lot in the path of a GS1 Digital Link.

Knows no state. Whether something is there under a name is the ledger's to say.
"""

from typing import Final

_GTIN: Final = "01/"
_LOT: Final = "/10/"
_SERIAL: Final = "/21/"
_PRODUCT_LENGTH: Final = len(_GTIN) + 14


def gtin_of(name: str) -> str | None:
    """The GTIN of a pack, a lot or a product; None for what has none (`00/…`, an asset)."""
    gtin = name[len(_GTIN) : _PRODUCT_LENGTH]
    if not name.startswith(_GTIN) or len(gtin) != 14 or not (gtin.isascii() and gtin.isdigit()):
        return None
    return gtin if name[_PRODUCT_LENGTH:][:1] in {"", "/"} else None


def is_product(name: str) -> bool:
    """True for `01/GTIN`."""
    return gtin_of(name) is not None and len(name) == _PRODUCT_LENGTH


def is_lot(name: str) -> bool:
    """True for `01/GTIN/10/LOT`."""
    if gtin_of(name) is None or not name.startswith(_LOT, _PRODUCT_LENGTH):
        return False
    lot = name[_PRODUCT_LENGTH + len(_LOT) :]
    return bool(lot) and "/" not in lot


def is_class(name: str) -> bool:
    """True for a lot and for a product: names of many things, none of them an item."""
    return is_product(name) or is_lot(name)


def product_name(gtin: str) -> str:
    """The class that a product is."""
    return _GTIN + gtin


def lots_stem(gtin: str) -> str:
    """What the names of all lots of a product begin with."""
    return f"{_GTIN}{gtin}{_LOT}"


def packs_stem(gtin: str) -> str:
    """What the names of all packs of a product begin with."""
    return f"{_GTIN}{gtin}{_SERIAL}"


def lot_name(gtin: str, lot: str) -> str:
    """The class that a lot is."""
    return lots_stem(gtin) + lot
