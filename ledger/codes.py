"""Every code that a transaction can be refused with: the rule in a sentence, and what to do.

Results on the chain carry the code and the field only; these sentences are for people.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ledger.explanation import Explanation
from ledger.governance_codes import GOVERNANCE_REJECTIONS
from ledger.supply.codes import SUPPLY_REJECTIONS
from ledger.supply.quality_codes import QUALITY_REJECTIONS

_RECORDS_AND_CARE: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "access.basis_not_in_force": Explanation(
            "The basis that an access cites does not let its reader see this, now.",
            "Ask GET /v1/patients/{id}/decision why; cite what is in force, or ask the patient.",
        ),
        "access.consent_not_fitting": Explanation(
            "To permit a request, the answer names a consent of this patient that is in force, "
            "permits, and is for who asked; to deny, none.",
            "Grant the consent first, in the same transaction if you like.",
        ),
        "access.decided_already": Explanation(
            "The patient has answered this request.",
            "Revoke the consent, or wait for another request.",
        ),
        "access.disputed_already": Explanation(
            "The access is disputed already.",
            "Wait for the privacy officer's answer.",
        ),
        "access.exists": Explanation(
            "A request or an access has this id already.",
            "Draw a new random id.",
        ),
        "access.local_log_broken": Explanation(
            "A deferred access does not continue the organisation's local log as the chain "
            "knows it.",
            "Check the local log for changes; commit its entries in order, none left out.",
        ),
        "access.not_deferrable": Explanation(
            "Only an organisation's own records and open emergencies are read without a quorum.",
            "Wait for the quorum, and log before you read.",
        ),
        "access.not_disputed": Explanation(
            "Nobody has disputed this access.",
            "Check the id of the access.",
        ),
        "access.not_reader": Explanation(
            "Clinicians read for their organisation, a service signs for them, and patients and "
            "proxies read for themselves.",
            "Let the reader sign, or a service of the same organisation.",
        ),
        "access.not_resolver": Explanation(
            "A dispute is answered by a privacy officer (an auditor) of the patient's hospital, "
            "unless that is who accessed, or of a regulator.",
            "Let one of these sign.",
        ),
        "access.reader_suspended": Explanation(
            "The reader, or its organisation, is suspended.",
            "Nothing, until the consortium lifts the suspension.",
        ),
        "access.resolved_already": Explanation(
            "The dispute has its answer.",
            "Read it.",
        ),
        "access.unknown": Explanation(
            "No request and no logged access has this id.",
            "Check the id; an access has its own only once it is committed.",
        ),
        "approval.key_not_valid": Explanation(
            "An approval names a key that is not valid for its principal at this block.",
            "Let the principal co-sign with a key of its own that is still valid.",
        ),
        "approval.missing": Explanation(
            "A new signing key must co-sign the transaction that brings it in.",
            "Add an approval under the principal's id, made with the new key.",
        ),
        "approval.unknown_principal": Explanation(
            "An approval names a principal that is not enrolled.",
            "Leave the approval out, or enrol the principal first.",
        ),
        "attachment.erased": Explanation(
            "The attachment was erased; its hash is never named again.",
            "Seal the content anew, if it may still be written at all.",
        ),
        "careplan.exists": Explanation(
            "The id belongs to a care plan already.",
            "Revise that plan, or draw a new random id.",
        ),
        "careplan.not_accepted": Explanation(
            "Goals are reported on for a plan whose current version the patient has accepted.",
            "Wait for the patient's answer.",
        ),
        "careplan.not_author": Explanation(
            "Only the organisation that proposed a care plan revises it.",
            "Propose a plan of your own.",
        ),
        "careplan.not_clinician": Explanation(
            "Care plans are proposed and revised by clinicians.",
            "Let a clinician sign.",
        ),
        "careplan.unknown": Explanation(
            "No care plan has this id.",
            "Check the id, or propose the plan first.",
        ),
        "careplan.version_out_of_order": Explanation(
            "A revision's number is that of the current version plus one; an answer names the "
            "current one.",
            "Read the current version, look at what changed, and submit again.",
        ),
        "category.already_open": Explanation(
            "The author has opened this category for this owner before.",
            "Use the epoch that is current, or a new category id.",
        ),
        "category.epoch_not_current": Explanation(
            "A record version names an epoch that is not the current one of its category key.",
            "Read the current epoch, seal the content under its key and submit again.",
        ),
        "category.epoch_out_of_order": Explanation(
            "A new epoch's number is that of the current one plus one.",
            "Read the current epoch and submit again.",
        ),
        "category.not_author": Explanation(
            "Only staff of an organisation, or the patient himself, open a category.",
            "Let a member of staff open it.",
        ),
        "category.not_open": Explanation(
            "The author has not opened this category for this owner.",
            "Put category.open before the record, in the same transaction if you like.",
        ),
        "consent.exists": Explanation(
            "The id belongs to a consent already.",
            "Draw new random bytes.",
        ),
        "consent.grantee_unknown": Explanation(
            "A consent is for an organisation or a clinician of the consortium.",
            "Check the grantee in the consent's id.",
        ),
        "consent.revoked_already": Explanation(
            "The consent was revoked before.",
            "Nothing: it does not count any more.",
        ),
        "consent.standing_not_covered": Explanation(
            "A standing release is part of a permission, in a category that it names.",
            "Leave the key out, or name its category.",
        ),
        "consent.too_many": Explanation(
            "The patient has as many consents in force for this grantee as the policy "
            "consents_in_force_max allows.",
            "Revoke one that is no longer needed.",
        ),
        "consent.unknown": Explanation(
            "No consent has this id.",
            "Check the id, or grant the consent first.",
        ),
        "emergency.beyond_summary": Explanation(
            "Broken glass opens the emergency summary and nothing else, unless the policy says so.",
            "Name no categories.",
        ),
        "emergency.exists": Explanation(
            "The id belongs to an emergency already.",
            "Draw a new random id.",
        ),
        "emergency.in_force": Explanation(
            "An emergency is reviewed after it has ended.",
            "Close it first, or wait until it ends by itself.",
        ),
        "emergency.not_clinician": Explanation(
            "Emergencies are opened by a clinician, and closed by one of the same organisation.",
            "Let a clinician sign.",
        ),
        "emergency.not_open": Explanation(
            "The emergency has ended.",
            "Nothing: it opens no more.",
        ),
        "emergency.not_reviewer": Explanation(
            "An emergency is reviewed by a privacy officer (an auditor) of its organisation or "
            "of a regulator, never by who opened it.",
            "Let one of these sign.",
        ),
        "emergency.open_already": Explanation(
            "The organisation's emergency for this patient is still in force.",
            "Use that one.",
        ),
        "emergency.review_overdue": Explanation(
            "An emergency of this organisation was not reviewed in time: until it is, it opens "
            "no more.",
            "Let the privacy officer review it.",
        ),
        "emergency.reviewed_already": Explanation(
            "The emergency was reviewed before.",
            "Read the review.",
        ),
        "emergency.unknown": Explanation(
            "No emergency has this id.",
            "Check the id.",
        ),
        "erasure.attested_already": Explanation(
            "The member has attested this erasure before.",
            "Nothing.",
        ),
        "erasure.exists": Explanation(
            "The id belongs to an erasure already.",
            "Draw a new random id.",
        ),
        "erasure.not_approver": Explanation(
            "Erasures are approved by an administrator or auditor of the patient's hospital or "
            "of a regulator.",
            "Let one of these sign.",
        ),
        "erasure.not_erased": Explanation(
            "An erasure is attested once all of its hashes are buried.",
            "Wait until its status is erased.",
        ),
        "erasure.not_pending": Explanation(
            "The erasure is done, or was refused.",
            "Read its status; after a refusal, ask again when the retention period is over.",
        ),
        "erasure.not_storing": Explanation(
            "Deletion is attested by an administrator or service of a member that runs a node.",
            "Let one of these sign.",
        ),
        "erasure.on_hold": Explanation(
            "A legal hold forbids to erase this.",
            "Wait until the hold is released.",
        ),
        "erasure.retention_unmet": Explanation(
            "Records in this scope must still be kept, by the policy retention_ms.",
            "Ask again when the retention period is over.",
        ),
        "erasure.too_many_categories": Explanation(
            "So many categories of this patient were erased that no more can be told apart.",
            "Erase all of the patient.",
        ),
        "erasure.unknown": Explanation(
            "No erasure has this id.",
            "Check the id.",
        ),
        "goal.exists": Explanation(
            "The id belongs to a report on this plan already.",
            "Draw a new random id.",
        ),
        "hold.exists": Explanation(
            "The id belongs to a hold already.",
            "Draw a new random id.",
        ),
        "hold.not_permitted": Explanation(
            "Holds are placed by an administrator or auditor of the patient's hospital or of a "
            "regulator, and released by the same organisation or a regulator.",
            "Let one of these sign.",
        ),
        "hold.released_already": Explanation(
            "The hold was released before.",
            "Nothing.",
        ),
        "hold.too_many": Explanation(
            "The patient has as many holds in force as there can be.",
            "Release one that is no longer needed.",
        ),
        "hold.unknown": Explanation(
            "No hold has this id.",
            "Check the id.",
        ),
        "key.in_use": Explanation(
            "The new signing key is one that the principal has already.",
            "Make a new key.",
        ),
        "key.not_author": Explanation(
            "A category key is released by its author: staff of the organisation, or the "
            "patient for his own.",
            "Let the author sign.",
        ),
        "key.not_logged": Explanation(
            "The access does not concern this category of this author.",
            "Release the keys that the access names.",
        ),
        "key.not_permitted": Explanation(
            "Keys are replaced by their principal, or by the administrator of its staff.",
            "Let the principal sign, or an administrator of its organisation.",
        ),
        "key.overlap_too_long": Explanation(
            "The overlap is longer than the parameter key_overlap_ms_max.",
            "Choose a shorter overlap.",
        ),
        "key.released_already": Explanation(
            "This epoch of the key was released to this reader before.",
            "Read the seal that the state names.",
        ),
        "key.too_many_overlapping": Explanation(
            "The principal has as many overlapping signing keys as are allowed at once.",
            "Wait until one has ended, or choose an overlap of 0.",
        ),
        "key.unknown_epoch": Explanation(
            "The author has not opened this epoch of the category.",
            "Read the current epoch.",
        ),
        "owner.foreign": Explanation(
            "These records belong to another organisation, or the patient is not the sender.",
            "Write about patients, about your own organisation, or, as a patient, about yourself.",
        ),
        "owner.unknown": Explanation(
            "No registered patient and no organisation has this id.",
            "Register the patient first, in the same transaction if you like.",
        ),
        "patient.not_registrar": Explanation(
            "Patients are registered by clinicians, administrators and services of hospitals "
            "and clinics.",
            "Let a hospital or clinic register the patient.",
        ),
        "patient.not_sender": Explanation(
            "Only the patient, or a proxy whom he appointed, does this.",
            "Let the patient sign.",
        ),
        "patient.unknown": Explanation(
            "No registered patient has this id.",
            "Check the id, or register the patient first.",
        ),
        "principal.exists": Explanation(
            "The id belongs to a principal already.",
            "Draw a new random id.",
        ),
        "principal.id_reserved": Explanation(
            "The id is the one under which an organisation owns its records.",
            "Draw a new random id.",
        ),
        "principal.not_administrator": Explanation(
            "Only an administrator enrols principals of its organisation.",
            "Let an administrator sign.",
        ),
        "principal.unknown": Explanation(
            "No principal has this id.",
            "Check the id, or enrol the principal first.",
        ),
        "proxy.beyond_scope": Explanation(
            "The proxy's appointment does not cover this act, or not all of these categories.",
            "Name the categories that it covers, or let the patient sign.",
        ),
        "proxy.not_appointed": Explanation(
            "The appointment has ended, was revoked, has not begun, or was never made.",
            "Let the patient appoint the proxy.",
        ),
        "proxy.not_party": Explanation(
            "An appointment is ended by the patient or by the proxy.",
            "Let one of them sign.",
        ),
        "proxy.not_patient": Explanation(
            "Only a patient appoints a proxy, and only for himself.",
            "Let the patient sign.",
        ),
        "proxy.self_appointed": Explanation(
            "Nobody appoints himself.",
            "Appoint somebody else.",
        ),
        "proxy.unknown": Explanation(
            "A proxy is another patient, somebody's proxy already, or new with keys of his own.",
            "Check the id, or give the keys of a new proxy.",
        ),
        "record.exists": Explanation(
            "The id belongs to a record already.",
            "Amend that record, if it is yours, or draw a new random id.",
        ),
        "record.not_author": Explanation(
            "Only the author's organisation amends or retracts a record, and only the patient a "
            "self-report.",
            "Ask the author, or put a record of your own.",
        ),
        "record.not_writer": Explanation(
            "Records are written by clinicians, devices, services and patients.",
            "Let one of these sign.",
        ),
        "record.retracted": Explanation(
            "The record was retracted as entered in error; that was its last version.",
            "Put a new record.",
        ),
        "record.unknown": Explanation(
            "No record has this id.",
            "Check the id, or put the record first.",
        ),
        "record.version_out_of_order": Explanation(
            "A version's number is that of the current version plus one.",
            "Read the current version, look at what changed, and submit again.",
        ),
        "scope.erased": Explanation(
            "It is erased, or about to be: nothing is written, granted, released or read there "
            "again.",
            "Use another category, where the patient is not erased as a whole.",
        ),
        "validity.ended": Explanation(
            "The period is empty, or over already.",
            "Choose a later end.",
        ),
        "validity.retroactive": Explanation(
            "Nothing is granted for a time before its block.",
            "Leave the start out, so that it begins with the block.",
        ),
    }
)
"""Rules that need the state. A transaction that breaks one is committed with this result."""

REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    dict(
        sorted(
            {
                **_RECORDS_AND_CARE,
                **GOVERNANCE_REJECTIONS,
                **SUPPLY_REJECTIONS,
                **QUALITY_REJECTIONS,
            }.items()
        )
    )
)

INVALID: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "access.foreign_record": Explanation(
            "An access names records of one patient only: whose id its own begins with.",
            "Log one access for each patient.",
        ),
        "access.unclear_basis": Explanation(
            "A consent or an emergency is cited with its id; other bases cite nothing.",
            "Name the consent or the emergency, or leave it out.",
        ),
        "access.unclear_target": Explanation(
            "An access names records, or one category with its author.",
            "Name the one or the other.",
        ),
        "action.empty_period": Explanation(
            "A period, or a range, ends before it begins.",
            "Correct it.",
        ),
        "action.not_in_order": Explanation(
            "A list that means a set names each value once, in ascending order.",
            "Sort the list and remove what repeats.",
        ),
        "capture.no_parent": Explanation(
            "What is packed or attached names its parent.",
            "Give the event its parentID.",
        ),
        "capture.not_canonical": Explanation(
            "An amount has another spelling: a negative exponent, and a zero at its end.",
            "Shorten the mantissa, and count the exponent up.",
        ),
        "capture.too_many_items": Explanation(
            "An event names too many things one by one.",
            "Split the event, or name their container.",
        ),
        "capture.unclear_action": Explanation(
            "Every event but a transformation has an action, and a transformation has none.",
            "Add the action, or leave it out.",
        ),
        "capture.unclear_declaration": Explanation(
            "An error declaration has an id of its own.",
            "Draw a new id for the declaration.",
        ),
        "capture.unclear_item": Explanation(
            "A thing has one name: packs are 01/GTIN/21/serial, lots 01/GTIN/10/lot, and a stem "
            "ends at its last slash.",
            "Name things as the client library does.",
        ),
        "capture.unfit_field": Explanation(
            "An event has a field that events of its kind have not.",
            "Leave the field out, or use another kind of event.",
        ),
        "codec.malformed": Explanation(
            "The bytes are not MessagePack behind a format version.",
            "Encode with a Medlock client of the same format version.",
        ),
        "codec.not_canonical": Explanation(
            "The value has another, canonical encoding.",
            "Use shortest encodings and no trailing bytes.",
        ),
        "codec.too_large": Explanation(
            "The encoding is longer than any of its kind may be.",
            "Split it; large content belongs in an attachment.",
        ),
        "codec.version_unsupported": Explanation(
            "The format version is newer than this release.",
            "Upgrade the node, or write the older format.",
        ),
        "codec.wrong_type": Explanation(
            "A field has another type, length or number of parts than its shape says.",
            "Correct the field that is named.",
        ),
        "erasure.unclear_scope": Explanation(
            "An erasure covers one category, one record of the patient, or with neither all of "
            "him.",
            "Name one of these.",
        ),
        "genesis.reserved_principal": Explanation(
            "A principal's id in genesis is the one under which an organisation owns its records.",
            "Draw a new random id for the principal.",
        ),
        "genesis.rules_version": Explanation(
            "Genesis asks for a version of the rules that this release does not have.",
            "Use the release that the consortium agreed on.",
        ),
        "key.invalid_point": Explanation(
            "A signing key is not a canonical Ed25519 key of prime order.",
            "Make a key with an Ed25519 library and send its 32 public bytes.",
        ),
        "key.nothing_new": Explanation(
            "A rotation brings neither a signing key nor an encryption key.",
            "Give at least one new key.",
        ),
        "key.unknown_suite": Explanation(
            "An encryption key names a suite that does not exist.",
            "Use suite 1 (X25519) or 2 (ML-KEM-768 with X25519).",
        ),
        "key.wrong_length": Explanation(
            "An encryption key has not the length of its suite.",
            "Send the raw public key of that suite.",
        ),
        "readiness.wrong_signature": Explanation(
            "A node's readiness is not signed with the key that it names, for this network.",
            "Ask the node itself, and hand on its answer unchanged.",
        ),
        "recall.unclear_counts": Explanation(
            "More patients were told than could be told who they are.",
            "Count as notified only who is among the resolved.",
        ),
        "transaction.attachment_too_large": Explanation(
            "An attachment is larger than the parameter attachment_bytes_max.",
            "Split the content.",
        ),
        "transaction.expired": Explanation(
            "Block time has reached valid_until_ms.",
            "Sign again with a later valid_until_ms; the expired one can no longer commit.",
        ),
        "transaction.missing_attachment": Explanation(
            "An action names a hash that is not among the transaction's attachments.",
            "List every attachment that an action names.",
        ),
        "transaction.repeated": Explanation(
            "The transaction stands in the block twice.",
            "Nothing: its first copy counts.",
        ),
        "transaction.repeated_approval": Explanation(
            "Two approvals name one principal.",
            "Keep one approval for each principal.",
        ),
        "transaction.repeated_attachment": Explanation(
            "The transaction lists an attachment twice.",
            "List each attachment once.",
        ),
        "transaction.too_heavy": Explanation(
            "The actions may cause more state writes than transaction_weight_max.",
            "Split the transaction.",
        ),
        "transaction.too_large": Explanation(
            "The transaction has more bytes than transaction_bytes_max.",
            "Split the transaction.",
        ),
        "transaction.too_many_actions": Explanation(
            "The transaction has more actions than the parameter actions_max.",
            "Split the transaction.",
        ),
        "transaction.too_many_attachments": Explanation(
            "The transaction has more attachments than the parameter attachments_max.",
            "Split the transaction.",
        ),
        "transaction.unknown_sender": Explanation(
            "The sender is no principal with a valid key at this block.",
            "Enrol or register the sender first, and check the id.",
        ),
        "transaction.unused_attachment": Explanation(
            "The transaction lists an attachment that no action names.",
            "Leave the attachment out.",
        ),
        "transaction.valid_too_long": Explanation(
            "valid_until_ms lies further ahead of block time than validity_ms_max.",
            "Sign again with an earlier valid_until_ms.",
        ),
        "transaction.wrong_approval": Explanation(
            "An approval's signature does not verify under the key it names.",
            "Co-sign the same sender, nonce and actions, for this network.",
        ),
        "verification.no_serial": Explanation(
            "A lot or a product is many things; a verification is about one.",
            "Name the pack with its serial number.",
        ),
    }
)
"""What no block holds: malformed, beyond a limit, out of its time, or from a stranger."""
