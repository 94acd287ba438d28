"""What can be wrong with a store, each with a stable code, a cause and a fix.

Errors of the operating system (EIO, ENOSPC) pass through as `OSError`: the node stops on them.
"""


class StoreProblem(Exception):  # noqa: N818 - named for what it is
    """`code` is stable, `what` is the cause in a sentence, `fix` is what a person can do."""

    def __init__(self, code: str, what: str, fix: str) -> None:
        super().__init__(f"{code}: {what}; {fix}")
        self.code = code
        self.what = what
        self.fix = fix


class StoreDamaged(StoreProblem):
    """Bytes are missing or changed. Nobody may vote on what is left."""


class StoreBusy(StoreProblem):
    """Another process has the directory open."""


class StoreMissing(StoreProblem):
    """There is no store where one is expected; only `init` makes one."""


class StoreExists(StoreProblem):
    """There is a store where a new one should be made."""


class StoreTooNew(StoreProblem):
    """A later release wrote this store."""


class AttachmentMissing(Exception):  # noqa: N818 - named for what it is
    """No such attachment is stored."""


class AttachmentErased(Exception):  # noqa: N818 - named for what it is
    """The attachment was erased for good and is refused ever after."""


class AttachmentMismatch(Exception):  # noqa: N818 - named for what it is
    """The bytes given are not those that the hash and the size name: the giver's fault."""


class AttachmentDamaged(Exception):  # noqa: N818 - named for what it is
    """The stored bytes no longer have their hash. The entry is gone: fetch it again."""


class QuotaExceeded(Exception):  # noqa: N818 - named for what it is
    """The room for attachments that no block names yet is full."""


class ShareExceeded(QuotaExceeded):
    """One owner's share of that room is full; others may still put."""
