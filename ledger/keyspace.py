"""Every key of the state, in one place. Indexes are the order of keys, so proofs cover them too.

| key | value |
|---|---|
| `parameters` | `Parameters` |
| `validators` | the encoded `ValidatorSet` that votes on the next height |
| `organization/` member | `OrganizationEntry` |
| `organization-owner/` owner | `OwnerEntry`: whose records these 16 bytes own |
| `principal/` principal | `PrincipalEntry` |
| `category/` owner, category, author | `CategoryEntry` |
| `record/` record | `RecordEntry`, the current version; an owner's records are one range |
| `record-version/` record, version | `RecordEntry`, a version before the current one |
| `policies` | `Policies`, where they are not the defaults |
| `suspension/` subject | `SuspensionEntry` of a principal or an organisation's owner id |
| `voting-rules` | `VotingRules`, where they are not the defaults |
| `proposal/` proposal | `ProposalEntry` |
| `vote/` proposal, organisation's owner id | `VoteEntry` |
| `proxy/` patient, proxy | `AppointmentEntry` |
| `scope/` patient | `ScopeEntry`: what revocations and erasures did to his categories |
| `epoch/` owner, category, author, epoch | `EpochEntry`, from the first rotation on |
| `release/` patient, category, author, epoch, organisation's owner id | `ReleaseEntry` |
| `note/` patient, hash | `NoteEntry`: the sealed notes about a patient |
| `consent/` consent | `ConsentEntry`; a patient's consents, and those for a grantee, are ranges |
| `consents-in-force/` patient, grantee | `ConsentsEntry`, what a decision reads |
| `access-request/` request | `RequestEntry` |
| `access/` access | `AccessEntry`; accesses to a patient's data, in the order of time |
| `access-dispute/` access | `DisputeEntry` |
| `local-log/` organisation's owner id | `LocalLogEntry` |
| `emergency/` emergency | `EmergencyEntry` |
| `emergency-latest/` patient, organisation's owner id | `CaseEntry`: its latest emergency |
| `emergency-review/` organisation's owner id, deadline, emergency | `CaseEntry`: not reviewed yet |
| `careplan/` plan | `CarePlanEntry`, the current version |
| `careplan-version/` plan, version | `CarePlanEntry`, a version before the current one |
| `goal-report/` plan, report | `GoalReportEntry` |
| `erasure/` erasure | `ErasureEntry` |
| `tombstone/` hash or record | `TombstoneEntry`: erased, never named again |
| `attestation/` erasure, organisation's owner id | `AttestationEntry` |
| `hold/` hold | `HoldEntry` |
| `holds-in-force/` patient | `HoldsEntry` |
| `supply-policies` | `SupplyPolicies`, where they are not the defaults |
| `party/` GLN | `PartyEntry` |
| `product/` GTIN | `ProductEntry` |
| `product-share/` GTIN, organisation's owner id | `ShareEntry` |
| `lot/` class | `LotEntry` |
| `lot-expiry/` time, class | `NumberEntry` (0): lots in the order in which they expire |
| `item/` item | `ItemEntry` |
| `container/` item | `ContainerEntry`, where something lies in it or did |
| `emptied/` item, 0, filling | `EmptiedEntry` |
| `history/` thing, 0, page | `PageEntry` |
| `holding/` class, 0, place | `HoldingEntry`: all places of a lot are one range |
| `shipment/` number | `ShipmentEntry` |
| `shipment-due/` time, number | `NumberEntry`: shipments that are not received, most urgent first |
| `shipment-from/` sender, 0, number | `NumberEntry` (when it is due): not received |
| `shipment-to/` receiver, 0, number | `NumberEntry` (when it is due): not received |
| `shipment-loose/` receiver, 0, class, 0, number | `LooseEntry` |
| `event/` number | `EventEntry` |
| `event-number/` event key | `NumberEntry` |
| `events` | `NumberEntry`: how many there are |
| `device/` device | `AttachedEntry`: to what it is attached |
| `recall/` recall | `RecallEntry` |
| `recall-acknowledgement/` recall, organisation's owner id | `AcknowledgementEntry` |
| `quarantine/` subject, 0, organisation's owner id | `QuarantineEntry` |
| `excursion/` item | `ExcursionEntry` |
| `event-excursion/` number, item | `NumberEntry` (0): the event with that number held the item |
| `suspect/` report | `SuspectEntry` |
| `suspicion/` item | `SuspicionEntry` |
| `verification/` verification | `VerificationEntry` |
| `verification-open/` manufacturer's owner id, time, verification | `NumberEntry` (0) |

Parts of a key have fixed lengths, or the variable one ends the key or stands before a zero byte,
which is in no name: no two entries share one. Ids of consents, accesses and cases begin with their
patient, as records' do.
"""

from typing import Final

PARAMETERS_KEY: Final = b"parameters"
VALIDATORS_KEY: Final = b"validators"
ORGANIZATION_PREFIX: Final = b"organization/"
ORGANIZATION_OWNER_PREFIX: Final = b"organization-owner/"
PRINCIPAL_PREFIX: Final = b"principal/"
CATEGORY_PREFIX: Final = b"category/"
RECORD_PREFIX: Final = b"record/"
RECORD_VERSION_PREFIX: Final = b"record-version/"
POLICIES_KEY: Final = b"policies"
SUPPLY_POLICIES_KEY: Final = b"supply-policies"
SUSPENSION_PREFIX: Final = b"suspension/"
VOTING_RULES_KEY: Final = b"voting-rules"
PROPOSAL_PREFIX: Final = b"proposal/"
VOTE_PREFIX: Final = b"vote/"
PROXY_PREFIX: Final = b"proxy/"
SCOPE_PREFIX: Final = b"scope/"
EPOCH_PREFIX: Final = b"epoch/"
RELEASE_PREFIX: Final = b"release/"
NOTE_PREFIX: Final = b"note/"
CONSENT_PREFIX: Final = b"consent/"
CONSENTS_IN_FORCE_PREFIX: Final = b"consents-in-force/"
ACCESS_REQUEST_PREFIX: Final = b"access-request/"
ACCESS_PREFIX: Final = b"access/"
ACCESS_DISPUTE_PREFIX: Final = b"access-dispute/"
LOCAL_LOG_PREFIX: Final = b"local-log/"
EMERGENCY_PREFIX: Final = b"emergency/"
EMERGENCY_LATEST_PREFIX: Final = b"emergency-latest/"
EMERGENCY_REVIEW_PREFIX: Final = b"emergency-review/"
CAREPLAN_PREFIX: Final = b"careplan/"
CAREPLAN_VERSION_PREFIX: Final = b"careplan-version/"
GOAL_REPORT_PREFIX: Final = b"goal-report/"
ERASURE_PREFIX: Final = b"erasure/"
TOMBSTONE_PREFIX: Final = b"tombstone/"
ATTESTATION_PREFIX: Final = b"attestation/"
HOLD_PREFIX: Final = b"hold/"
HOLDS_IN_FORCE_PREFIX: Final = b"holds-in-force/"
PARTY_PREFIX: Final = b"party/"
PRODUCT_PREFIX: Final = b"product/"
PRODUCT_SHARE_PREFIX: Final = b"product-share/"
LOT_PREFIX: Final = b"lot/"
LOT_EXPIRY_PREFIX: Final = b"lot-expiry/"
ITEM_PREFIX: Final = b"item/"
CONTAINER_PREFIX: Final = b"container/"
EMPTIED_PREFIX: Final = b"emptied/"
HISTORY_PREFIX: Final = b"history/"
HOLDING_PREFIX: Final = b"holding/"
SHIPMENT_PREFIX: Final = b"shipment/"
SHIPMENT_DUE_PREFIX: Final = b"shipment-due/"
SHIPMENT_FROM_PREFIX: Final = b"shipment-from/"
SHIPMENT_TO_PREFIX: Final = b"shipment-to/"
SHIPMENT_LOOSE_PREFIX: Final = b"shipment-loose/"
EVENT_PREFIX: Final = b"event/"
EVENT_NUMBER_PREFIX: Final = b"event-number/"
EVENTS_KEY: Final = b"events"
DEVICE_PREFIX: Final = b"device/"
RECALL_PREFIX: Final = b"recall/"
RECALL_ACKNOWLEDGEMENT_PREFIX: Final = b"recall-acknowledgement/"
QUARANTINE_PREFIX: Final = b"quarantine/"
EXCURSION_PREFIX: Final = b"excursion/"
EVENT_EXCURSION_PREFIX: Final = b"event-excursion/"
SUSPECT_PREFIX: Final = b"suspect/"
SUSPICION_PREFIX: Final = b"suspicion/"
VERIFICATION_PREFIX: Final = b"verification/"
VERIFICATION_OPEN_PREFIX: Final = b"verification-open/"
_VERSION_BYTES: Final = 4
_TIME_BYTES: Final = 8


def organization_key(member: str) -> bytes:
    """Where an organisation stands."""
    return ORGANIZATION_PREFIX + member.encode("ascii")


def organization_owner_key(owner: bytes) -> bytes:
    """Where the organisation is named that owns records under `owner`."""
    return ORGANIZATION_OWNER_PREFIX + owner


def principal_key(principal: bytes) -> bytes:
    """Where a principal stands."""
    return PRINCIPAL_PREFIX + principal


def category_key(owner: bytes, category: bytes, author: bytes) -> bytes:
    """Where the current epoch of K(owner, category, author) stands."""
    return b"".join((CATEGORY_PREFIX, owner, category, author))


def categories_prefix(owner: bytes) -> bytes:
    """What the keys of all categories of `owner` begin with."""
    return CATEGORY_PREFIX + owner


def record_key(record: bytes) -> bytes:
    """Where a record's current version stands."""
    return RECORD_PREFIX + record


def records_prefix(owner: bytes) -> bytes:
    """What the keys of all records of `owner` begin with."""
    return RECORD_PREFIX + owner


def record_version_key(record: bytes, version: int) -> bytes:
    """Where a version before the current one stands."""
    return record_versions_prefix(record) + version.to_bytes(_VERSION_BYTES, "big")


def record_versions_prefix(record: bytes) -> bytes:
    """What the keys of all versions of `record` before the current one begin with."""
    return RECORD_VERSION_PREFIX + record


def suspension_key(subject: bytes) -> bytes:
    """Where the suspension of a principal, or of an organisation by its owner id, stands."""
    return SUSPENSION_PREFIX + subject


def proposal_key(proposal: bytes) -> bytes:
    """Where a proposal stands."""
    return PROPOSAL_PREFIX + proposal


def vote_key(proposal: bytes, organization: bytes) -> bytes:
    """Where a member's vote (its owner id) on a proposal stands."""
    return votes_prefix(proposal) + organization


def votes_prefix(proposal: bytes) -> bytes:
    """What the keys of all votes on a proposal begin with."""
    return VOTE_PREFIX + proposal


def proxy_key(patient: bytes, proxy: bytes) -> bytes:
    """Where an appointment stands."""
    return b"".join((PROXY_PREFIX, patient, proxy))


def scope_key(patient: bytes) -> bytes:
    """Where it is said which of a patient's epochs are past, and what is erased."""
    return SCOPE_PREFIX + patient


def epoch_key(owner: bytes, category: bytes, author: bytes, epoch: int) -> bytes:
    """Where one epoch of a category key stands."""
    number = epoch.to_bytes(_VERSION_BYTES, "big")
    return b"".join((EPOCH_PREFIX, owner, category, author, number))


def release_key(
    owner: bytes, category: bytes, author: bytes, epoch: int, organization: bytes
) -> bytes:
    """Where the release of a category key to an organisation (its owner id) stands."""
    number = epoch.to_bytes(_VERSION_BYTES, "big")
    return b"".join((RELEASE_PREFIX, owner, category, author, number, organization))


def note_key(patient: bytes, digest: bytes) -> bytes:
    """Where it is said that a sealed note is about a patient."""
    return b"".join((NOTE_PREFIX, patient, digest))


def consent_key(consent: bytes) -> bytes:
    """Where a consent stands."""
    return CONSENT_PREFIX + consent


def consents_in_force_key(patient: bytes, grantee: bytes) -> bytes:
    """Where the consents are listed that a patient has in force for a grantee."""
    return b"".join((CONSENTS_IN_FORCE_PREFIX, patient, grantee))


def access_request_key(request: bytes) -> bytes:
    """Where a request for access stands."""
    return ACCESS_REQUEST_PREFIX + request


def access_key(access: bytes) -> bytes:
    """Where a logged access stands."""
    return ACCESS_PREFIX + access


def access_dispute_key(access: bytes) -> bytes:
    """Where the dispute about an access stands."""
    return ACCESS_DISPUTE_PREFIX + access


def local_log_key(organization: bytes) -> bytes:
    """Where the head of an organisation's local log stands."""
    return LOCAL_LOG_PREFIX + organization


def emergency_key(emergency: bytes) -> bytes:
    """Where an emergency stands."""
    return EMERGENCY_PREFIX + emergency


def emergency_latest_key(patient: bytes, organization: bytes) -> bytes:
    """Where an organisation's latest emergency of a patient is named."""
    return b"".join((EMERGENCY_LATEST_PREFIX, patient, organization))


def emergency_review_key(organization: bytes, review_by_ms: int, emergency: bytes) -> bytes:
    """Where an emergency stands that is not reviewed: an organisation's most urgent one first."""
    deadline = review_by_ms.to_bytes(_TIME_BYTES, "big")
    return b"".join((EMERGENCY_REVIEW_PREFIX, organization, deadline, emergency))


def careplan_key(plan: bytes) -> bytes:
    """Where a care plan's current version stands."""
    return CAREPLAN_PREFIX + plan


def careplan_version_key(plan: bytes, version: int) -> bytes:
    """Where an earlier version of a care plan stands."""
    return b"".join((CAREPLAN_VERSION_PREFIX, plan, version.to_bytes(_VERSION_BYTES, "big")))


def goal_report_key(plan: bytes, report: bytes) -> bytes:
    """Where a report on a goal of a care plan stands."""
    return b"".join((GOAL_REPORT_PREFIX, plan, report))


def erasure_key(erasure: bytes) -> bytes:
    """Where an erasure stands."""
    return ERASURE_PREFIX + erasure


def tombstone_key(erased: bytes) -> bytes:
    """Where it is said that a hash, or a record's id, is erased."""
    return TOMBSTONE_PREFIX + erased


def attestation_key(erasure: bytes, organization: bytes) -> bytes:
    """Where a member's attestation stands."""
    return b"".join((ATTESTATION_PREFIX, erasure, organization))


def hold_key(hold: bytes) -> bytes:
    """Where a legal hold stands."""
    return HOLD_PREFIX + hold


def holds_in_force_key(patient: bytes) -> bytes:
    """Where the holds in force on a patient are listed."""
    return HOLDS_IN_FORCE_PREFIX + patient


def party_key(gln: str) -> bytes:
    """Where it stands whose a Global Location Number is."""
    return PARTY_PREFIX + gln.encode("ascii")


def product_key(gtin: str) -> bytes:
    """Where a product stands."""
    return PRODUCT_PREFIX + gtin.encode("ascii")


def product_share_key(gtin: str, organization: bytes) -> bytes:
    """Where the key for hidden serial numbers stands that is sealed to an organisation."""
    return product_shares_prefix(gtin) + organization


def product_shares_prefix(gtin: str) -> bytes:
    """What the keys of a product's shares begin with; owner ids follow."""
    return PRODUCT_SHARE_PREFIX + gtin.encode("ascii")


def lot_key(item_class: str) -> bytes:
    """Where a lot stands, or a product without lots."""
    return LOT_PREFIX + item_class.encode("ascii")


def lot_expiry_key(expires_ms: int, item_class: str) -> bytes:
    """Where a lot stands in the order of expiry."""
    time = expires_ms.to_bytes(_TIME_BYTES, "big")
    return b"".join((LOT_EXPIRY_PREFIX, time, item_class.encode("ascii")))


def item_key(item: str) -> bytes:
    """Where one thing stands."""
    return ITEM_PREFIX + item.encode("ascii")


def container_key(item: str) -> bytes:
    """Where it stands what lies in a container."""
    return CONTAINER_PREFIX + item.encode("ascii")


def emptied_key(item: str, filling: int) -> bytes:
    """Where it stands how a filling of a container ended."""
    return b"".join((EMPTIED_PREFIX, item.encode("ascii"), b"\0", filling.to_bytes(4, "big")))


def history_key(thing: str, page: int) -> bytes:
    """Where earlier events of an item or a lot stand."""
    return b"".join((HISTORY_PREFIX, thing.encode("ascii"), b"\0", page.to_bytes(4, "big")))


def holdings_prefix(item_class: str) -> bytes:
    """What the keys of all places of a lot begin with."""
    return b"".join((HOLDING_PREFIX, item_class.encode("ascii"), b"\0"))


def holding_key(item_class: str, place: str) -> bytes:
    """Where it stands how much of a lot is in `place` (`ledger.supply.holdings.Place`)."""
    return holdings_prefix(item_class) + place.encode("ascii")


def shipment_key(number: int) -> bytes:
    """Where a shipment stands."""
    return SHIPMENT_PREFIX + number.to_bytes(_TIME_BYTES, "big")


def shipment_due_key(due_ms: int, number: int) -> bytes:
    """Where a shipment stands that is not received."""
    due = due_ms.to_bytes(_TIME_BYTES, "big")
    return b"".join((SHIPMENT_DUE_PREFIX, due, number.to_bytes(_TIME_BYTES, "big")))


def shipments_from_prefix(member: str) -> bytes:
    """What the keys of shipments begin with that `member` sent, and nobody received."""
    return b"".join((SHIPMENT_FROM_PREFIX, member.encode("ascii"), b"\0"))


def shipments_to_prefix(member: str) -> bytes:
    """What the keys of shipments begin with that are on their way to `member`."""
    return b"".join((SHIPMENT_TO_PREFIX, member.encode("ascii"), b"\0"))


def shipment_from_key(member: str, number: int) -> bytes:
    """Where a shipment stands among those of its sender that are not received."""
    return shipments_from_prefix(member) + number.to_bytes(_TIME_BYTES, "big")


def shipment_to_key(member: str, number: int) -> bytes:
    """Where a shipment stands among those on their way to its receiver."""
    return shipments_to_prefix(member) + number.to_bytes(_TIME_BYTES, "big")


def shipments_loose_prefix(member: str, item_class: str) -> bytes:
    """What the keys of amounts of a lot begin with that are on their way to `member` loose."""
    return b"".join(
        (SHIPMENT_LOOSE_PREFIX, member.encode("ascii"), b"\0", item_class.encode("ascii"), b"\0")
    )


def shipment_loose_key(member: str, item_class: str, number: int) -> bytes:
    """Where it stands how much of a lot is loose in a shipment."""
    return shipments_loose_prefix(member, item_class) + number.to_bytes(_TIME_BYTES, "big")


def event_key(number: int) -> bytes:
    """Where an event stands."""
    return EVENT_PREFIX + number.to_bytes(_TIME_BYTES, "big")


def event_number_key(event: bytes) -> bytes:
    """Where the number of an event stands."""
    return EVENT_NUMBER_PREFIX + event


def device_key(device: bytes) -> bytes:
    """Where it stands to what a device is attached."""
    return DEVICE_PREFIX + device


def recall_key(recall: bytes) -> bytes:
    """Where a recall stands."""
    return RECALL_PREFIX + recall


def recall_acknowledgement_key(recall: bytes, organization: bytes) -> bytes:
    """Where it stands what an organisation found of a recall's scope."""
    return b"".join((RECALL_ACKNOWLEDGEMENT_PREFIX, recall, organization))


def quarantines_prefix(subject: str) -> bytes:
    """What the keys of all quarantines of a subject begin with."""
    return b"".join((QUARANTINE_PREFIX, subject.encode("ascii"), b"\0"))


def quarantine_key(subject: str, organization: bytes) -> bytes:
    """Where the quarantine stands that an organisation (its owner id) placed."""
    return quarantines_prefix(subject) + organization


def excursion_key(item: str) -> bytes:
    """Where an item's excursion stands."""
    return EXCURSION_PREFIX + item.encode("ascii")


def event_excursions_prefix(number: int) -> bytes:
    """What the keys of all excursions that an event found begin with."""
    return EVENT_EXCURSION_PREFIX + number.to_bytes(_TIME_BYTES, "big")


def event_excursion_key(number: int, item: str) -> bytes:
    """Where it stands that an event found an item out of its temperatures."""
    return event_excursions_prefix(number) + item.encode("ascii")


def suspect_key(report: bytes) -> bytes:
    """Where a report of a suspect item stands."""
    return SUSPECT_PREFIX + report


def verification_key(verification: bytes) -> bytes:
    """Where a question to a manufacturer stands."""
    return VERIFICATION_PREFIX + verification


def suspicion_key(item: str) -> bytes:
    """Where it stands how often an item was cleared of suspicion."""
    return SUSPICION_PREFIX + item.encode("ascii")


def verifications_open_prefix(manufacturer: bytes) -> bytes:
    """What the keys of all questions begin with that wait for a manufacturer (its owner id)."""
    return VERIFICATION_OPEN_PREFIX + manufacturer


def verification_open_key(manufacturer: bytes, requested_ms: int, verification: bytes) -> bytes:
    """Where a question to a manufacturer waits: the oldest first."""
    time = requested_ms.to_bytes(_TIME_BYTES, "big")
    return b"".join((verifications_open_prefix(manufacturer), time, verification))
