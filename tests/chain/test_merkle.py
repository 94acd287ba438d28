"""Trees against RFC 6962's own recursion and published vectors."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.merkle import EMPTY_ROOT, MerkleTree, leaf_hash, verify_path


def by_recursion(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it down."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_recursion(leaves[:split]), by_recursion(leaves[split:])
    return sha256(b"\1" + left + right).digest()


LEAVES = [bytes([i]) * (i % 5) for i in range(40)]


@pytest.mark.parametrize("size", range(40))
def test_the_root_is_the_rfcs(size: int) -> None:
    assert MerkleTree(LEAVES[:size]).root == by_recursion(LEAVES[:size])


def test_known_vectors() -> None:
    # The test vectors of the certificate-transparency reference implementation.
    inputs = ["", "00", "10", "2021", "3031", "40414243"]
    tree = MerkleTree([bytes.fromhex(each) for each in inputs])
    assert EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")
    assert leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert tree.root.hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"


@pytest.mark.parametrize("size", range(1, 40))
def test_every_path_verifies_at_its_place_only(size: int) -> None:
    tree = MerkleTree(LEAVES[:size])
    for index in range(size):
        path, sides = tree.path(index), tree.sides(index)
        assert verify_path(LEAVES[index], sides, path, tree.root)
        assert not verify_path(LEAVES[index] + b"!", sides, path, tree.root)
        assert not verify_path(LEAVES[index], sides, (*path, bytes(32)), tree.root)
        for other in range(2 ** (len(path) + 1)):
            assert verify_path(LEAVES[index], other, path, tree.root) == (other == sides)
        if path:
            assert not verify_path(LEAVES[index], sides, path[:-1], tree.root)


@given(st.integers(1, 200), st.data())
def test_a_changed_path_never_verifies(size: int, data: st.DataObject) -> None:
    leaves = [b"%d" % i for i in range(size)]
    tree = MerkleTree(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = list(tree.path(index))
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        path[place] = bytes(32)
        assert not verify_path(leaves[index], tree.sides(index), path, tree.root)
