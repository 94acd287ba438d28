"""Whose nodes this node connects with: those that the state names, whoever of them votes."""

from collections.abc import Mapping

from ledger.queries import members
from ledger.state import StateReader
from p2p.mesh import PeerAddress


def peer_addresses(state: StateReader, me: str, addresses: Mapping[str, str]) -> list[PeerAddress]:
    """The other members' nodes; `addresses` replace what the state says for some of them."""
    return [
        PeerAddress(
            member.id,
            member.node.transport_certificate,
            (addresses[member.id],) if member.id in addresses else member.node.addresses,
        )
        for member in members(state)
        if member.node is not None and member.id != me
    ]
