"""Changes on top of a state, walked through in the order of keys as if they were stored."""

from hypothesis import given
from hypothesis import strategies as st

from chain.codec import Codec, Record
from ledger.state import DecodedState, Overlay
from tests.ledger.ledger_world import DictState


class Number(Record, frozen=True):
    value: int


NUMBER = Codec[Number](Number, name="number", bytes_max=64)
KEYS = st.sampled_from([b"a/1", b"a/2", b"a/3", b"a/4", b"b/1", b"b/2"])
VALUES = st.dictionaries(KEYS, st.integers(0, 9))
CHANGES = st.dictionaries(KEYS, st.none() | st.integers(0, 9))


@given(VALUES, CHANGES, CHANGES, st.sampled_from([b"", b"a/1", b"a/2", b"a/25", b"a/9"]))
def test_a_walk_sees_what_the_store_would_hold(
    stored: dict[bytes, int],
    kept: dict[bytes, int | None],
    pending: dict[bytes, int | None],
    after: bytes,
) -> None:
    state = DictState({key: NUMBER.encode(Number(value)) for key, value in stored.items()})
    overlay = Overlay(DecodedState(state))
    for changes, last in ((kept, False), (pending, True)):
        for key, value in changes.items():
            overlay.write(key, NUMBER, None if value is None else Number(value))
        if not last:
            overlay.keep()
    merged = {**stored, **kept, **pending}
    expected = [
        (key, value)
        for key, value in sorted(merged.items())
        if key.startswith(b"a/") and key > after and value is not None
    ]
    assert [(key, entry.value) for key, entry in overlay.scan(b"a/", NUMBER, after)] == expected
    for key, value in merged.items():
        read = overlay.read(key, NUMBER)
        assert (None if read is None else read.value) == value
        assert overlay.read_rare(key[:2], key, NUMBER) == read
    overlay.keep()
    state.apply(overlay.encoded())
    found = {key: NUMBER.decode(raw).value for key, raw in state.entries.items()}
    assert found == {key: value for key, value in merged.items() if value is not None}


def test_an_empty_range_is_known_to_be_so_until_something_is_written_there() -> None:
    overlay = Overlay(DecodedState(DictState({b"b/1": NUMBER.encode(Number(1))})))
    assert overlay.is_empty(b"a/")
    assert not overlay.is_empty(b"b/")
    overlay.write_rare(b"a/", b"a/1", NUMBER, Number(1))
    assert not overlay.is_empty(b"a/")
    overlay.keep()
    assert not overlay.is_empty(b"a/")
    assert overlay.read(b"a/1", NUMBER) == Number(1)
    assert overlay.encoded() == {b"a/1": NUMBER.encode(Number(1))}
