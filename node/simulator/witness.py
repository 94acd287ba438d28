"""What machines report, told to the trace and to all observers."""

from collections.abc import Callable, Sequence

from consensus.messages import Message
from consensus.votes import VoteRecord
from node.simulator.loop import VirtualLoop
from node.simulator.machine import Machine, Watch
from node.simulator.observers import Committed, Observer
from node.simulator.trace import Event, Trace


class Witness(Watch):
    """One for a world. `cut` is called where an armed crash came."""

    def __init__(
        self,
        loop: VirtualLoop,
        trace: Trace,
        observers: Sequence[Observer],
        cut: Callable[[Machine], None],
    ) -> None:
        self._loop = loop
        self._trace = trace
        self._observers = observers
        self._cut = cut
        self.views_seen: set[int] = set()
        """Of all certificates."""

    def persisted(self, machine: Machine, record: VoteRecord, *, durable: bool) -> None:
        """See `Watch`."""
        self._trace.add(
            Event(self._loop.now_us, "persist", machine.name, "", "", record.height, record.view)
        )
        for observer in self._observers:
            observer.persisted(machine, record, durable=durable)

    def signed(self, machine: Machine, message: Message) -> None:
        """See `Watch`."""
        block_hash = getattr(message, "block_hash", b"")
        self._trace.add(
            Event(
                self._loop.now_us,
                "sign",
                machine.name,
                what=str(type(message).__struct_config__.tag),
                height=message.height,
                view=message.view,
                block=block_hash.hex()[:8],
            )
        )
        for observer in self._observers:
            observer.signed(machine, message)

    def committed(self, machine: Machine, committed: Committed) -> None:
        """See `Watch`."""
        header, certificate = committed.block.header, committed.certificate
        self.views_seen.add(certificate.view)
        self._trace.add(
            Event(
                self._loop.now_us,
                "commit",
                machine.name,
                height=header.height,
                view=certificate.view,
                block=header.hash.hex()[:8],
                note=f"{len(committed.transaction_ids)} transactions",
            )
        )
        for observer in self._observers:
            observer.committed(machine, committed)

    def cut(self, machine: Machine) -> None:
        """See `Watch`."""
        self._cut(machine)
