"""Named queries and subscriptions, as they are kept and as they are shown (EPCIS 2.0 §12.7)."""

from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from chain.codec import Codec
from chain.types import Milliseconds, PrincipalId, Unsigned
from client.fhir_json import Value, parse
from client.redacted import Redacted
from node.gateway.epcis.documents import EpcFormat, instant
from node.gateway.epcis.query import Asker, Query, from_document
from node.gateway.epcis.schedule import Schedule, schedule_of

QUERY_BYTES_MAX: Final = 1 << 16
NAME: Final = r"^[A-Za-z0-9_.~-]{1,64}\Z"
RESERVED: Final = frozenset({"SimpleEventQuery", "SimpleMasterDataQuery", ".", ".."})
SUBSCRIPTION_ID_BYTES: Final = 16
TARGET_CHARACTERS_MAX: Final = 2_048
TOKEN_CHARACTERS_MAX: Final = 512

Name = Annotated[str, Meta(pattern=NAME)]
Text = Annotated[str, Meta(max_length=TARGET_CHARACTERS_MAX)]


class NamedQuery(Redacted, frozen=True):
    """`document` is the query as it was sent, in canonical JSON."""

    name: Name
    caller: PrincipalId
    created_ms: Milliseconds
    document: Annotated[bytes, Meta(max_length=QUERY_BYTES_MAX)]

    def definition(self) -> dict[str, Value]:
        """The query, as the standard's language has it."""
        found = parse(self.document)
        assert isinstance(found, dict), "it was checked before it was kept"
        return found

    def query(self, this_year: int) -> Query:
        """The query, understood."""
        return from_document(self.definition(), Asker(this_year))

    def shown(self) -> dict[str, Value]:
        """For answers."""
        return {
            "name": self.name,
            "query": self.definition(),
            "createdAt": instant(self.created_ms),
        }


class Subscription(Redacted, frozen=True):
    """`schedule` is empty for a stream. `sent` is the number of the last event that needs no
    sending any more; nothing recorded before `initial_ms` is sent. `notified_ms` is when its
    receiver last said that it has what was sent, None before that."""

    id: Annotated[bytes, Meta(min_length=SUBSCRIPTION_ID_BYTES, max_length=SUBSCRIPTION_ID_BYTES)]
    query: Name
    caller: PrincipalId
    created_ms: Milliseconds
    target: Text
    signature_token: Annotated[str, Meta(max_length=TOKEN_CHARACTERS_MAX)]
    report_if_empty: bool
    schedule: dict[Text, Text]
    initial_ms: Milliseconds
    epc_format: EpcFormat
    sent: Unsigned
    notified_ms: Milliseconds | None

    def times(self) -> Schedule | None:
        """When it is due; None for a stream."""
        return schedule_of(self.schedule, "schedule") if self.schedule else None

    def after(self, sent: int, notified_ms: int | None) -> "Subscription":
        """This one, with everything up to the event `sent` sent, its receiver notified."""
        return replace(self, sent=sent, notified_ms=notified_ms)

    def shown(self) -> dict[str, Value]:
        """For answers, without the secret."""
        found: dict[str, Value] = {
            "subscriptionID": self.id.hex(),
            "queryName": self.query,
            "dest": self.target,
            "createdAt": instant(self.created_ms),
            "initialRecordTime": instant(self.initial_ms),
            "reportIfEmpty": self.report_if_empty,
            "epcFormat": self.epc_format,
        }
        if self.notified_ms is not None:
            found["lastNotifiedAt"] = instant(self.notified_ms)
        if self.schedule:
            found["schedule"] = dict[str, Value](self.schedule)
        else:
            found["stream"] = True
        return found


NAMED_QUERY: Final = Codec[NamedQuery](NamedQuery, name="named_query", bytes_max=1 << 17)
SUBSCRIPTION: Final = Codec[Subscription](Subscription, name="subscription", bytes_max=1 << 14)
