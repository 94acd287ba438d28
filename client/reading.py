"""Opens records: from the chain's entry by the category's seals to the plaintext.

Trusts the node for nothing but which entry is current: ciphertext must have the entry's hash, open
in the entry's place, and fit the author's key commitment.
"""

from dataclasses import dataclass
from hashlib import sha256

from client.api import Api, ListedRecord
from client.category import CategoryKey, CategoryName, open_category_key
from client.content import open_content, place_of
from client.errors import ClientError, NotForUs, Tampered
from client.wallet import Wallet
from ledger.entries import RecordContent, RecordEntry
from ledger.ids import organization_owner, owner_of


class Retracted(ClientError):  # noqa: N818 - says what is the matter
    """The record was entered in error; this version has no content."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenedRecord:
    """`content` is what its author sealed, byte for byte."""

    id: bytes
    entry: RecordEntry
    content: bytes
    key: CategoryKey


class Reader:
    """Opens records for one wallet, and remembers category keys that it had to unseal."""

    def __init__(self, api: Api, wallet: Wallet, chain_id: str) -> None:
        self._api = api
        self.wallet = wallet
        """Grows by the category keys found; keep it to read faster next time."""
        self._chain_id = chain_id

    async def open(self, record: bytes, version: int | None = None) -> OpenedRecord:
        """Version `version` of `record`, the current one where that is None.

        Raises `Retracted`, `NotForUs` where the wallet holds no key, `Tampered` where bytes do not
        fit the chain, `ApiError` (404 `record.unknown`).
        """
        return await self.open_listed(await self.listed(record, version))

    async def listed(self, record: bytes, version: int | None = None) -> ListedRecord:
        """What the chain says of a version of `record`; of the current one where that is None."""
        if version is None:
            return await self._api.record(record)
        for listed in await self._api.record_versions(record):
            if listed.entry.version == version:
                return listed
        raise NotForUs(
            "record.unknown_version", "the record has no such version", "see its history"
        )

    async def open_listed(self, listed: ListedRecord) -> OpenedRecord:
        """The content of a version that the node listed."""
        content = listed.entry.content
        if content is None:
            raise Retracted(
                "record.retracted", "it was entered in error", "open an earlier version"
            )
        key = await self.category_key(category_name(listed.id, listed.entry, content))
        attachment = await self._api.attachment(content.ciphertext)
        return open_record(attachment, listed.id, listed.entry, key, self._chain_id)

    async def category_key(self, name: CategoryName) -> CategoryKey:
        """K of that name: kept, else from the seals of its epoch, else released to this reader.

        Raises `NotForUs` where it was sealed to others only.
        """
        kept = self.wallet.category_key(name)
        if kept is not None:
            return kept
        epoch = await self._api.epoch(name.owner, name.category, name.author, name.epoch)
        try:
            key = await self._unsealed(epoch.entry.seals, name)
        except NotForUs:
            released = await self._released(name)
            if released is None:
                raise
            key = await self._unsealed(released, name)
        self.wallet = self.wallet.with_category_key(key)
        return key

    async def _released(self, name: CategoryName) -> bytes | None:
        """The attachment that seals K to this reader, in answer to an access or with a consent."""
        ours = {self.wallet.principal, self.wallet.author}
        async for each in self._api.releases_of(name.owner):
            if (each.category, each.author, each.epoch) == (
                name.category,
                name.author,
                name.epoch,
            ) and each.reader in ours:
                return each.entry.sealed
        return None

    async def _unsealed(self, attachment: bytes, name: CategoryName) -> CategoryKey:
        seals = await self._api.attachment(attachment)
        return open_category_key(seals, name, self._chain_id, self.wallet.keyring())


def category_name(record: bytes, entry: RecordEntry, content: RecordContent) -> CategoryName:
    """Under which category key a version of a record is sealed."""
    owner = owner_of(record)
    organization = entry.organization
    author = owner if organization is None else organization_owner(organization)
    return CategoryName(owner, content.category, author, content.epoch)


def open_record(
    attachment: bytes, record: bytes, entry: RecordEntry, key: CategoryKey, chain_id: str
) -> OpenedRecord:
    """The content in `attachment`, checked against what the chain says of it in `entry`."""
    content = entry.content
    if content is None:
        raise Retracted("record.retracted", "it was entered in error", "open an earlier version")
    if sha256(attachment).digest() != content.ciphertext:
        raise Tampered(
            "attachment.other_bytes",
            "these are other bytes than those that the chain names",
            "fetch it again from another node",
        )
    place = place_of(key, chain_id, record, entry.version)
    plain = open_content(attachment, place, key, content.key_commitment)
    return OpenedRecord(record, entry, plain, key)
