"""Who does not get in: strangers, other chains, older TLS, the slow and the confused."""

import asyncio
import gc
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chain.errors import InvalidMessage
from p2p.certificates import Identity, check_certificate, create_identity
from p2p.hello import GREETING, Hello, Refusal
from p2p.mesh import Channel, PeerAddress
from p2p.tls import TrustedPeers


async def test_another_genesis_is_refused_by_name_and_without_points(world, wait_until):
    alice = await world.node("alice")
    bob = await world.node("bob", genesis=b"h" * 32)
    world.introduce([alice, bob])
    await wait_until(lambda: "other_genesis" in (alice.view("bob").last_error or ""))
    await wait_until(lambda: "other_genesis" in (bob.view("alice").last_error or ""))
    assert alice.events.ups == bob.events.ups == []
    assert alice.view("bob").score == 0


async def test_an_unknown_certificate_fails_inside_the_tls_handshake(world, wait_until, identity):
    node = await world.node_that_knows("bob")
    stranger = await world.stranger(node)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await stranger.upgrade()
    await wait_until(lambda: node.network.refused_count == 1)
    assert node.network._listener._web.requests_count == 0, "TLS let it through to HTTP"
    assert node.events.ups == []


async def test_a_node_that_trusts_nobody_lets_nobody_in(world, wait_until):
    node = await world.node("hospital")
    stranger = await world.stranger(node)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await stranger.upgrade()


async def test_a_client_without_a_certificate_fails_in_the_handshake(world, wait_until):
    node = await world.node_that_knows("mallory")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    with suppress(OSError):  # an alert or a reset, whichever is read first
        answer = await reader.read()
    assert answer == b""
    writer.transport.abort()
    await wait_until(lambda: node.network.refused_count == 1)
    assert node.network._listener._web.requests_count == 0, "TLS let it through to HTTP"


async def test_tls_1_2_is_refused_even_from_a_member(world, wait_until):
    node = await world.node_that_knows("mallory")
    with pytest.raises(OSError):
        await world.stranger(node, maximum=ssl.TLSVersion.TLSv1_2)
    modern = await world.stranger(node, maximum=ssl.TLSVersion.TLSv1_3)
    assert isinstance(await modern.greet(), Hello)


async def test_a_dialler_refuses_an_address_where_somebody_else_answers(
    world, wait_until, identity
):
    alice, bob, carol = [await world.node(name) for name in ("alice", "bob", "carol")]
    alice.network.set_members([replace(bob.card, addresses=carol.card.addresses), carol.card])
    for node in (bob, carol):
        node.network.set_members([replace(alice.card, addresses=())])
    await wait_until(lambda: "another member" in (alice.view("bob").last_error or ""))
    assert alice.sees("bob") == ()


def issued_by(identity: Identity, member: str) -> Identity:
    """A certificate that `identity`'s key signed for another key."""
    issuer_key = serialization.load_pem_private_key(identity.key_pem, None)
    issuer = x509.load_der_x509_certificate(identity.certificate_der)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .sign(issuer_key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Identity(certificate.public_bytes(serialization.Encoding.DER), pem)


async def test_what_a_member_issued_for_somebody_else_leads_nowhere(world, wait_until, identity):
    node = await world.node_that_knows("mallory")
    stranger = await world.stranger(node, issued_by(identity("mallory"), "mallory"))
    with pytest.raises((OSError, asyncio.IncompleteReadError, AssertionError)):
        await stranger.greet()
    await wait_until(lambda: node.network.refused_count == 1)
    assert node.events.ups == []


def test_only_a_self_signed_certificate_that_issues_nothing_is_a_members(identity):
    own = identity("alice")
    check_certificate(own.certificate_der)
    for broken, code in (
        (issued_by(own, "bob").certificate_der, "certificate.malformed"),
        (b"", "certificate.malformed"),
        (own.certificate_der + b"\0", "certificate.malformed"),
        (own.certificate_der[:-1], "certificate.malformed"),
        (own.certificate_der[:-1] + b"\0", "certificate.not_self_signed"),
        (bytes(5_000), "certificate.too_large"),
    ):
        with pytest.raises(InvalidMessage) as caught:
            check_certificate(broken)
        assert caught.value.code == code


def test_an_identity_survives_its_file_and_keeps_its_key_out_of_logs():
    made = create_identity("alice")
    assert Identity.from_pem(made.to_pem()) == made
    assert "PRIVATE" not in repr(made)
    other = create_identity("alice")
    with pytest.raises(ValueError, match="another key"):
        Identity.from_pem(made.key_pem + other.to_pem()[len(other.key_pem) :])


def test_certificates_are_told_apart_though_they_bear_one_name(identity):
    first, second = create_identity("twin"), create_identity("twin")
    trusted = TrustedPeers(identity("alice"), {"a": first.certificate_der})
    assert trusted.member_of(first.certificate_der) == "a"
    assert trusted.member_of(second.certificate_der) is None
    assert trusted.member_of(None) is None


async def test_two_members_with_one_name_in_their_certificates_both_connect(world, wait_until):
    node = await world.node("hospital")
    first, second = create_identity("twin"), create_identity("twin")
    node.network.set_members(
        [
            PeerAddress("mallory", first.certificate_der, ()),
            PeerAddress("other", second.certificate_der, ()),
        ]
    )
    for member, own in (("mallory", first), ("other", second)):
        stranger = await world.stranger(node, own)
        assert isinstance(await stranger.greet(member=member), Hello)
        assert node.sees(member) == (Channel.BULK,)


HELLOS = {
    "another member's name": (
        GREETING.encode(Hello(b"g" * 32, "bob", "bulk", b"i" * 16)),
        "hello.wrong_member",
    ),
    "the other channel": (
        GREETING.encode(Hello(b"g" * 32, "mallory", "consensus", b"i" * 16)),
        "hello.wrong_channel",
    ),
    "no MessagePack": (b"\x01\xc1", "codec.malformed"),
    "unknown shape": (b"\x01\x91\xa3foo", "codec.wrong_type"),
    "too long": (bytes(2_000), "codec.too_large"),
    "nothing": (b"", "codec.malformed"),
}


@pytest.mark.parametrize("what", HELLOS)
async def test_a_false_hello_is_answered_with_its_code_and_points(world, wait_until, what):
    hello, code = HELLOS[what]
    node = await world.node_that_knows("mallory", "bob")
    stranger = await world.stranger(node)
    await stranger.upgrade()
    answer = await stranger.say(hello)
    assert isinstance(answer, Refusal)
    assert answer.code == code
    await stranger.hung_up()
    assert node.view("mallory").score > 0
    assert node.events.ups == []


async def test_a_newer_format_is_refused_with_what_to_upgrade_and_no_points(world, wait_until):
    node = await world.node_that_knows("mallory")
    stranger = await world.stranger(node)
    await stranger.upgrade()
    answer = await stranger.say(b"\x02\x90")
    assert answer.code == "codec.version_unsupported"
    assert "upgrade Medlock" in answer.cause
    assert node.view("mallory").score == 0


async def test_text_instead_of_a_hello_is_refused(world, wait_until):
    node = await world.node_that_knows("mallory")
    stranger = await world.stranger(node)
    await stranger.upgrade()
    stranger.message(b"hello", opcode=1)
    assert GREETING.decode(await stranger.read_message()).code == "hello.expected"
    await stranger.hung_up()


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\1\2\r\n\r\n"])
async def test_http_that_asks_for_no_peer_channel_gets_nothing(world, wait_until, request_):
    node = await world.node_that_knows("mallory", limits={"handshake_s": 0.2})
    stranger = await world.stranger(node)
    stranger.write(request_)
    await stranger.hung_up()
    await wait_until(lambda: node.network.refused_count == 1)
    assert node.events.ups == []


class TestSlowLoris:
    """Each stage before the accepted Hello has a deadline, and none of them blocks the others."""

    @pytest.fixture
    async def node(self, world):
        return await world.node_that_knows("mallory", limits={"handshake_s": 0.2})

    async def test_a_socket_that_says_nothing_is_dropped(self, node, wait_until):
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        assert await reader.read() == b""
        writer.close()
        await wait_until(lambda: node.network.refused_count == 1)

    async def test_half_a_request_is_dropped(self, world, node):
        stranger = await world.stranger(node)
        stranger.write(b"GET /medlock/peer/bulk HTTP/1.1\r\nHost:")
        await stranger.hung_up()

    async def test_an_upgrade_without_a_hello_is_dropped(self, world, node):
        stranger = await world.stranger(node)
        await stranger.upgrade()
        await stranger.hung_up()

    async def test_half_a_hello_is_dropped(self, world, node):
        stranger = await world.stranger(node)
        await stranger.upgrade()
        stranger.write(b"\x82\xa0\0\0\0\0\1")
        await stranger.hung_up()

    async def test_too_many_at_once_push_out_the_oldest_and_not_the_members(
        self, world, wait_until
    ):
        crowd_limits = {"handshakes_max": 4, "handshake_s": 30.0}
        node = await world.node_that_knows("mallory", limits=crowd_limits)
        crowd = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(12)]
        member = await world.stranger(node)
        assert isinstance(await member.greet(), Hello)
        assert await crowd[0][0].read() == b""
        assert node.sees("mallory") == (Channel.BULK,)
        for _, writer in crowd:
            writer.close()

    async def test_a_dialled_host_that_says_nothing_is_given_up(self, world, wait_until, identity):
        async def silent(reader, writer):
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        node = await world.node("hospital", limits={"handshake_s": 0.1})
        node.network.set_members(
            [PeerAddress("bob", identity("bob").certificate_der, (f"127.0.0.1:{port}",))]
        )
        await wait_until(lambda: "no answer in time" in (node.view("bob").last_error or ""))
        await node.stop()
        server.close()
        await server.wait_closed()

    async def test_stopping_in_the_middle_of_a_rush_leaks_no_socket(self, world, wait_until):
        """Sockets accepted in the very step in which the network is cancelled are closed."""
        for _ in range(5):
            node = await world.node_that_knows("mallory", limits={"handshakes_max": 2})
            rush = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(8)]
            await node.stop()
            for reader, writer in rush:
                with suppress(OSError):
                    assert await reader.read() == b""
                writer.close()
            assert node.network._listener._unstarted == {}
            gc.collect()
