"""A node does not let itself be led inside."""

import ipaddress

import pytest

from chain.errors import InvalidMessage
from node.gateway.supply.targets import OutsideResolver, check_target, is_outside

INSIDE = (
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "2001:0:1::1",
)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_the_inside(address: str) -> None:
    assert not is_outside(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidMessage):
        check_target(f"https://{host}/hook", private=False)
    check_target(f"http://{host}/hook", private=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_addresses_of_the_outside(address: str) -> None:
    assert is_outside(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    check_target(f"https://{host}:8443/hook?x=1", private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://node.local/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://user@example.org/",
        "https://example.org/#x",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https:///hook",
        "https://[::1/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://example.org/\r\nX: y",
        "https://exämple.org/",
        "https://example.org/" + "x" * 3000,
        "",
    ],
)
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        check_target(url, private=False)
    assert refused.value.code == "epcis.target"
    assert url not in str(refused.value) or not url


async def test_a_name_that_leads_inside() -> None:
    with pytest.raises(OSError, match="inside"):
        await OutsideResolver(private=False).resolve("localhost", 443)
    assert await OutsideResolver(private=True).resolve("localhost", 443)
