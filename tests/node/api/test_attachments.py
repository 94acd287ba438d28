"""Uploads and downloads: streamed, checked, within the quota."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.node.api.conftest import Node, Reply
from tests.node.api.solo import QUOTA_BYTES, digest_of

OCTETS = {"Content-Type": "application/octet-stream"}


async def upload(node: Node, raw: bytes, digest: str | None = None) -> Reply:
    return await node.ask(
        "PUT",
        f"/v1/attachments/{digest or digest_of(raw)}",
        wallet=node.cast.clinician,
        data=raw,
        headers=OCTETS,
    )


@pytest.mark.parametrize("size", [0, 1, 1_000, 1 << 18, (1 << 19)])
async def test_what_was_uploaded_comes_back_byte_for_byte(node: Node, size: int) -> None:
    raw = b"\x07" * size
    assert (await upload(node, raw)).status == 201
    assert (await upload(node, raw)).status == 200
    reply = await node.get(f"/v1/attachments/{digest_of(raw)}", node.cast.clinician)
    assert (reply.status, reply.body) == (200, raw)
    assert reply.headers["Content-Type"] == "application/octet-stream"


async def test_other_bytes_than_the_hash_names_are_not_kept(node: Node) -> None:
    reply = await upload(node, b"these", digest_of(b"those"))
    assert (reply.status, reply.code) == (422, "attachment.mismatch")
    assert node.solo.attachments.pending() == []
    assert node.solo.attachments.pending_bytes == 0


async def test_more_than_the_consortium_allows_is_413(node: Node) -> None:
    assert (await upload(node, bytes((1 << 19) + 1))).status == 413


async def test_where_the_quota_is_full_the_node_is_busy(node: Node) -> None:
    for number in range(4):
        filler = bytes([number]) * (QUOTA_BYTES // 4)
        node.solo.attachments.put(bytes.fromhex(digest_of(filler)), filler)
    reply = await upload(node, b"one more")
    assert (reply.status, reply.code) == (503, "attachment.quota")
    assert int(reply.headers["Retry-After"]) > 0


async def test_one_principal_does_not_fill_the_room_for_all(node: Node) -> None:
    greedy = node.cast.clinician
    for number in range(2):
        assert (await upload(node, bytes([number]) * (QUOTA_BYTES // 4))).status == 201
    reply = await upload(node, b"one more")
    assert (reply.status, reply.code) == (503, "attachment.sender_share")
    for wallet, status in ((node.cast.administrator, 201), (greedy, 200)):
        reply = await node.ask(
            "PUT",
            f"/v1/attachments/{digest_of(b'one more')}",
            wallet=wallet,
            data=b"one more",
            headers=OCTETS,
        )
        assert reply.status == status


async def test_an_upload_is_offered_to_other_nodes_once_it_is_whole(node: Node) -> None:
    await upload(node, b"these", digest_of(b"those"))
    assert node.solo.offers == []
    await upload(node, b"those")
    assert node.solo.offers == [(bytes.fromhex(digest_of(b"those")), 5)]


async def test_the_size_must_be_known_before(node: Node) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    reply = await node.ask(
        "PUT",
        f"/v1/attachments/{digest_of(b'piece')}",
        wallet=node.cast.clinician,
        data=pieces(),
        headers=OCTETS,
    )
    assert (reply.status, reply.code) == (411, "http.length_required")


async def test_a_client_that_leaves_half_way_leaves_nothing_behind(node: Node) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("gone")

    token = await node.token(node.cast.clinician)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await node.ask(
            "PUT",
            f"/v1/attachments/{digest_of(b'halfhalf')}",
            data=broken(),
            headers=OCTETS | {"Content-Length": "8", "Authorization": f"Bearer {token}"},
        )
    await node.runner.cleanup()
    assert node.solo.attachments.pending_bytes == 0
    assert not node.solo.attachments.has(bytes.fromhex(digest_of(b"halfhalf")))


async def test_what_was_erased_is_neither_given_nor_taken(node: Node) -> None:
    raw = b"erase me"
    await upload(node, raw)
    node.solo.attachments.erase([bytes.fromhex(digest_of(raw))])
    assert (await node.get(f"/v1/attachments/{digest_of(raw)}", node.cast.clinician)).status == 404
    assert (await upload(node, raw)).code == "attachment.erased"


async def test_an_uploaded_attachment_need_not_travel_with_its_transaction(node: Node) -> None:
    built, _ = node.story.register(node.cast.patient, b"{}")
    assert (await node.submit(built.raw)).code == "transaction.attachment_missing"
    for each in built.attachments:
        await upload(node, each)
    assert (await node.submit(built.raw)).status == 202
