"""What is known of a capture job, as it is kept and as it is shown (EPCIS 2.0 §12.6.1)."""

from typing import Annotated, Final, Literal

from msgspec import Meta
from msgspec.structs import replace

from chain.codec import Codec
from chain.types import Milliseconds, PrincipalId, Unsigned
from client.capturing import Visibility
from client.fhir_json import Number, Value
from client.redacted import Redacted
from ledger.supply.fields import DispenseTag
from node.gateway.epcis.documents import instant
from node.gateway.epcis.problem import EXCEPTION

JOB_ID_BYTES: Final = 16
EVENTS_MAX: Final = 1_000
"""Of one job."""
ERRORS_MAX: Final = 1_000
JOB_BYTES_MAX: Final = 12 << 20

Behaviour = Literal["rollback", "proceed"]
JobId = Annotated[bytes, Meta(min_length=JOB_ID_BYTES, max_length=JOB_ID_BYTES)]


class EventToDo(Redacted, frozen=True):
    """An event of a job: `document` is its JSON with its context, complete with its id; `index` its
    place in what was sent, `tag` goes with what is dispensed; `visibility` says who can open it."""

    index: Unsigned
    id: str
    document: bytes
    tag: DispenseTag | None
    visibility: Visibility


class JobError(Redacted, frozen=True):
    """Why an event was not captured: `index` is its place in what was sent, None where it is about
    all; `field` points into it."""

    exception: str
    code: str
    title: str
    detail: str
    status: Unsigned
    index: Unsigned | None
    field: str

    def document(self) -> dict[str, Value]:
        """As a problem (RFC 7807)."""
        found: dict[str, Value] = {
            "type": f"{EXCEPTION}{self.exception}",
            "title": self.title,
            "status": Number(str(self.status)),
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
        }
        if self.index is not None:
            found["eventIndex"] = Number(str(self.index))
        return found


class Job(Redacted, frozen=True):
    """A capture job of `caller`. `to_do` are the events that are still to be captured, none once it
    is finished; `captured` counts those that stand on the chain."""

    id: JobId
    caller: PrincipalId
    created_ms: Milliseconds
    finished_ms: Milliseconds | None
    behaviour: Behaviour
    to_do: Annotated[tuple[EventToDo, ...], Meta(max_length=EVENTS_MAX)]
    captured: Unsigned
    errors: Annotated[tuple[JobError, ...], Meta(max_length=ERRORS_MAX)]

    @property
    def running(self) -> bool:
        """True while it is not finished."""
        return self.finished_ms is None

    def finished(self, at_ms: int, captured: int, errors: tuple[JobError, ...]) -> "Job":
        """This job at its end."""
        return replace(self, finished_ms=at_ms, to_do=(), captured=captured, errors=errors)

    def document(self) -> dict[str, Value]:
        """A capture job of the standard; `eventsCaptured` is our extension."""
        found: dict[str, Value] = {
            "captureID": self.id.hex(),
            "createdAt": instant(self.created_ms),
            "running": self.running,
            "success": not self.errors,
            "captureErrorBehaviour": self.behaviour,
            "errors": [each.document() for each in self.errors],
            "eventsCaptured": Number(str(self.captured)),
        }
        if self.finished_ms is not None:
            found["finishedAt"] = instant(self.finished_ms)
        return found


JOB: Final = Codec[Job](Job, name="capture_job", bytes_max=JOB_BYTES_MAX)
