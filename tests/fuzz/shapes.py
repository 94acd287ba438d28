"""Hypothesis strategies from the shapes themselves: valid values, and bytes that almost are."""

import importlib
import pkgutil
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

import chain
import client
import consensus
import ledger
import node
import p2p
import storage
from chain.codec import Codec

ROOMS: Final = (chain, client, consensus, ledger, node, p2p, storage)
MORE_BYTES_MAX: Final = 24
MORE_ITEMS_MAX: Final = 3


def all_codecs() -> dict[str, Codec[Any]]:
    """Every codec that a module of ours holds, by module and name."""
    found: dict[int, tuple[str, Codec[Any]]] = {}
    for room in ROOMS:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                held = value.values() if isinstance(value, dict) else (value,)
                for each in held:
                    if isinstance(each, Codec):
                        found.setdefault(id(each), (f"{module.name}:{each.name}", each))
    return dict(sorted(found.values()))


def values(shape: Any) -> st.SearchStrategy[Any]:
    """Any value of a shape, within its limits, of modest size."""
    return _strategy(inspect.type_info(shape))


def _strategy(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one visible match
    match kind:
        case inspect.Metadata():
            return _strategy(kind.type)
        case inspect.UnionType():
            return st.one_of(*map(_strategy, kind.types))
        case inspect.DictType():
            keys, values = _strategy(kind.key_type), _strategy(kind.value_type)
            return st.dictionaries(keys, values, max_size=MORE_ITEMS_MAX)
        case inspect.VarTupleType():
            least, most = kind.min_length or 0, _more(kind, MORE_ITEMS_MAX)
            return st.lists(_strategy(kind.item_type), min_size=least, max_size=most).map(tuple)
        case inspect.TupleType():
            return st.tuples(*map(_strategy, kind.item_types))
        case inspect.StructType():
            fields = {field.name: _strategy(field.type) for field in kind.fields}
            return st.builds(kind.cls, **fields)
        case _:
            return _plain(kind)


def _plain(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.IntType():
            low = kind.gt + 1 if kind.gt is not None else kind.ge
            high = kind.lt - 1 if kind.lt is not None else kind.le
            return st.integers(
                -(2**63) if low is None else low, 2**63 - 1 if high is None else high
            )
        case inspect.BytesType():
            return st.binary(min_size=kind.min_length or 0, max_size=_more(kind, MORE_BYTES_MAX))
        case inspect.StrType() if kind.pattern is not None:
            longest = kind.max_length
            texts = st.from_regex(kind.pattern)
            return texts.filter(lambda text: longest is None or len(text) <= longest)
        case inspect.StrType():
            return st.text(min_size=kind.min_length or 0, max_size=_more(kind, MORE_BYTES_MAX))
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case _:
            assert isinstance(kind, inspect.BoolType | inspect.NoneType), kind
            return st.booleans() if isinstance(kind, inspect.BoolType) else st.none()


def _more(kind: Any, more: int) -> int:
    least = kind.min_length or 0
    return least + more if kind.max_length is None else min(kind.max_length, least + more)


_NUMBERS = st.integers(-(2**63), 2**64 - 1)
GARBAGE: Final = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
"""Anything that MessagePack or JSON can say."""


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes that were valid before something happened to them."""
    raw = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.sampled_from(("flip", "insert", "cut", "drop", "repeat"))):
            case "flip" if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "insert":
                raw[at:at] = draw(st.binary(min_size=1, max_size=6))
            case "cut":
                del raw[at:]
            case "drop":
                del raw[at : at + draw(st.integers(1, 4))]
            case _:
                raw[at:at] = raw[max(0, at - 8) : at]
    return bytes(raw)


def garbage() -> st.SearchStrategy[bytes]:
    """Noise, and well-formed MessagePack under the version byte that means nothing."""
    return st.binary(max_size=200) | GARBAGE.map(
        lambda value: b"\1" + msgspec.msgpack.encode(value)
    )
