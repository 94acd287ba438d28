"""Every code that a transaction can be refused with: the rule in a sentence, and what to do.

Results on the chain carry the code and the field only; these sentences are for people.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """`rule` says what was broken, `fix` how to go on."""

    rule: str
    fix: str


REJECTIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
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
        "category.already_open": Explanation(
            "The author has opened this category for this owner before.",
            "Use the epoch that is current, or a new category id.",
        ),
        "category.epoch_not_current": Explanation(
            "A record version names an epoch that is not the current one of its category key.",
            "Read the current epoch, seal the content under its key and submit again.",
        ),
        "category.not_author": Explanation(
            "Only staff of an organisation, or the patient himself, open a category.",
            "Let a member of staff open it.",
        ),
        "category.not_open": Explanation(
            "The author has not opened this category for this owner.",
            "Put category.open before the record, in the same transaction if you like.",
        ),
        "key.in_use": Explanation(
            "The new signing key is one that the principal has already.",
            "Make a new key.",
        ),
        "key.not_permitted": Explanation(
            "Keys are replaced by their principal, or by the administrator of its staff.",
            "Let the principal sign, or an administrator of its organisation.",
        ),
        "key.overlap_too_long": Explanation(
            "The overlap is longer than the parameter key_overlap_ms_max.",
            "Choose a shorter overlap.",
        ),
        "key.too_many_overlapping": Explanation(
            "The principal has as many overlapping signing keys as are allowed at once.",
            "Wait until one has ended, or choose an overlap of 0.",
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
    }
)
"""Rules that need the state. A transaction that breaks one is committed with this result."""

INVALID: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
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
    }
)
"""What no block holds: malformed, beyond a limit, out of its time, or from a stranger."""
