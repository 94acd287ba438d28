"""Where a subscription may send to: the outside world, unless the operator says otherwise.

A node stands inside of a hospital's network. An address that somebody gives must not make it speak
to what only the inside can reach, neither by its name nor by what that name leads to at the moment
of sending. No redirect is followed.
"""

import ipaddress
import socket
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import abc, resolver

from chain.errors import InvalidMessage
from node.gateway.supply.standing import TARGET_CHARACTERS_MAX

CODE: Final = "epcis.target"


def check_target(url: str, *, private: bool, where: str = "dest") -> None:
    """Raises `InvalidMessage` (`epcis.target`) for what is no URL to send to. `private` allows
    addresses of the inside, and http without TLS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refused(where, "a URL") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not host or port == 0:
        raise _refused(where, f"a URL of {' or '.join(schemes)}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused(where, "a URL without user, password or fragment")
    if len(url) > TARGET_CHARACTERS_MAX or not url.isascii() or not url.isprintable():
        raise _refused(where, f"at most {TARGET_CHARACTERS_MAX} printable characters")
    if not private and _is_inside(host):
        raise _refused(where, "an address of the outside world")


def _is_inside(host: str) -> bool:
    """True for an address that is written out and leads inside, and for names of this machine. What
    ends like an address and is none that everybody reads alike (`127.1`) is no name either."""
    try:
        return not is_outside(ipaddress.ip_address(host))
    except ValueError:
        name = host.rstrip(".").lower()
        last = name.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x"):
            return True
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))


def is_outside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """True for an address that everybody can reach. One that carries another is that other."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if carried is not None:
            return is_outside(carried)
        if address.teredo is not None or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast


_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")


class OutsideResolver(abc.AbstractResolver):
    """Names lead to addresses of the outside only: checked where the connection is made, so that a
    name cannot lead elsewhere a moment later."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._inner = resolver.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        """The addresses of `host`; `OSError` where one of them leads inside."""
        found = await self._inner.resolve(host, port, family)
        if not self._private:
            for each in found:
                if not is_outside(ipaddress.ip_address(each["host"])):
                    raise OSError("the name leads inside")
        return list(found)

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


def _refused(where: str, expected: str) -> InvalidMessage:
    return InvalidMessage(CODE, where, f"expected: {expected}")
