"""What an operator is told when a command cannot go on: one table of codes, causes and fixes.

A code is stable: scripts and runbooks name it. Must not know which command is running.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

DEBUG_VARIABLE: Final = "MEDLOCK_DEBUG"
"""Set in the environment: an unexpected error shows its whole trace."""


class Exit(IntEnum):
    """How the process ends."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4
    DENIED = 5
    NO_QUORUM = 6
    INTEGRITY = 7
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Explained:
    """`cause` is the first line; a raised error may say it more exactly."""

    exit_code: Exit
    cause: str
    why: str
    fix: str


def _config(cause: str, why: str, fix: str) -> Explained:
    return Explained(Exit.CONFIG, cause, why, fix)


ERRORS: Final[dict[str, Explained]] = {
    "E001": _config(
        "this is no node directory",
        "a node lives in a directory that `medlock init` made, with node.toml and keys/",
        "medlock init --org NAME --role ROLE --dir DIR, or give the right --dir",
    ),
    "E002": _config(
        "the configuration file cannot be read",
        "node.toml is TOML 1.0",
        "correct the line that is named; configs/node.toml is an example that loads",
    ),
    "E003": _config(
        "unknown configuration key",
        "a key that nothing reads is usually a misspelt one",
        "medlock config show --dir DIR lists every key",
    ),
    "E004": _config(
        "a configuration value is refused",
        "every value has a type and a range",
        "medlock config show --origin says where the value comes from",
    ),
    "E005": _config(
        "a development switch is set, and this is not a development node",
        "clock offsets, latency and cut links are for tests and endanger a real network",
        "remove the switch; only a throw-away node sets development = true",
    ),
    "E006": _config(
        "the genesis file is missing or cannot be used",
        "every node of a network starts from the same genesis file",
        "copy the consortium's genesis.json into the directory; medlock genesis create makes one",
    ),
    "E007": _config(
        "genesis and the keys of this directory do not belong together",
        "a node runs for a member of the consortium",
        "use the genesis.json of the consortium that this organisation is a member of",
    ),
    "E008": _config(
        "the directory already holds something",
        "init never overwrites keys",
        "choose another --dir",
    ),
    "E009": _config(
        "the keys cannot be opened",
        "they lie under a passphrase",
        "name its file: keys.passphrase_file in node.toml, or MEDLOCK_KEYS_PASSPHRASE_FILE",
    ),
    "E010": _config(
        "a private file can be read by others",
        "keys are for their owner only",
        "chmod 600 the file that is named",
    ),
    "E011": _config(
        "the address cannot be listened on",
        "another process has it, or it is not this machine's",
        "choose another port in node.toml (api.listen, p2p.listen)",
    ),
    "E012": _config(
        "the API would be open to the network without TLS",
        "tokens and transactions would travel readable",
        "listen on 127.0.0.1, or set api.tls_certificate and api.tls_key",
    ),
    "E013": _config(
        "a member card is refused",
        "genesis takes exactly what `medlock init` wrote into card.json",
        "ask the member for the card again",
    ),
    "E014": _config(
        "data directory is in use",
        "LevelDB allows one process per directory",
        "medlock stop --dir DIR, or choose another --dir",
    ),
    "E015": _config(
        "Python runs with assertions off",
        "assertions are part of how Medlock protects a ledger, and finds its own faults",
        "start without -O and without PYTHONOPTIMIZE",
    ),
    "E016": _config(
        "a file or directory cannot be used",
        "the operating system refused",
        "check that it exists, who owns it and that the disk has room",
    ),
    "E017": _config(
        "the store is of another network",
        "data/ was made from another genesis file",
        "use the genesis file that this node joined with",
    ),
    "E018": Explained(
        Exit.CHECK_FAILED,
        "a file has an unexpected form",
        "it is not what this command reads",
        "give a file that Medlock, or the software named, wrote",
    ),
    "E019": _config(
        "this node takes no development commands",
        "links are cut only on a throw-away node: node.toml sets development = true there",
        "set development = true in its node.toml, never on a real network, and restart it",
    ),
    "E020": Explained(
        Exit.UNREACHABLE,
        "the node does not answer",
        "nothing listens there, or the network is in between",
        "medlock testnet ps, medlock run --dir DIR, or give the right --api",
    ),
    "E021": Explained(
        Exit.UNREACHABLE,
        "no node runs in this directory",
        "its lock is free",
        "medlock run --dir DIR",
    ),
    "E022": Explained(
        Exit.UNREACHABLE,
        "what answers there is not a Medlock node",
        "the reply is not what the API describes",
        "give the node's own --api address",
    ),
    "E023": Explained(
        Exit.UNREACHABLE,
        "the node cannot take this now",
        "a queue is full, or the node is catching up",
        "try again; the same transaction commits once however often it is sent",
    ),
    "E024": _config(
        "too few files may be open",
        "votes, store and peers need theirs whatever strangers do",
        "raise the limit: ulimit -n, or LimitNOFILE= of the service",
    ),
    "E025": _config(
        "a file of registered keys is refused",
        "DIR/clients/<principal>.jwks.json holds a JWK Set of public P-384 and RSA keys",
        "correct the field that is named, or remove the file; docs/fhir.md says what it may hold",
    ),
    "E026": _config(
        "the running node does not hold the key that it is to vote with",
        "a node reads its keys when it starts",
        "medlock stop --dir DIR, medlock run --dir DIR, then announce again",
    ),
    "E030": Explained(
        Exit.DENIED,
        "the node refuses this caller",
        "the wallet's principal is unknown, suspended, or not allowed to do this",
        "use --as with a wallet that may, or ask the organisation's administrator",
    ),
    "E031": Explained(
        Exit.DENIED,
        "the wallet cannot be opened",
        "wrong passphrase, or the file was changed",
        "give the right passphrase: MEDLOCK_PASSPHRASE_FILE, --passphrase-fd or the prompt",
    ),
    "E032": Explained(
        Exit.DENIED,
        "this wallet holds no key that opens the record",
        "a record opens for its patient and its author organisation only",
        "use --as with the patient's or the author's wallet",
    ),
    "E033": Explained(
        Exit.CHECK_FAILED,
        "the ledger rejected the transaction",
        "a rule says no; the attempt may stand on the chain as evidence",
        "correct what the code and the field name",
    ),
    "E034": Explained(
        Exit.CHECK_FAILED,
        "not found",
        "no such thing on the chain at this node's height",
        "check the id; a node that catches up may know it later (medlock status)",
    ),
    "E035": Explained(
        Exit.CHECK_FAILED,
        "the node refused the request",
        "the request is not one that the API takes",
        "correct what the code and the field name",
    ),
    "E040": Explained(
        Exit.NO_QUORUM,
        "not committed in time",
        "a quorum of validators has to be connected and to agree",
        "medlock why-stalled tells which votes are missing; sending again is harmless",
    ),
    "E041": Explained(
        Exit.NO_QUORUM,
        "the network is not ready in time",
        "a node did not start, or no quorum is connected",
        "medlock testnet ps and medlock testnet logs NODE show which and why",
    ),
    "E042": Explained(
        Exit.NO_QUORUM,
        "the process does not end in time",
        "it was asked to stop and still runs",
        "medlock testnet kill NODE, or kill -9 the pid that is named",
    ),
    "E043": Explained(
        Exit.NO_QUORUM,
        "the node does not answer in time",
        "it is busy, paused, or the network between is slow",
        "try again with a longer --timeout; medlock testnet ps shows what runs",
    ),
    "E044": Explained(
        Exit.NO_QUORUM,
        "the key was not released in time",
        "the access is logged, and the author's node answers it by sealing its key to the reader; "
        "it may be down, or its quorum may be",
        "try again; medlock status of the author's node shows whether it runs",
    ),
    "E050": Explained(
        Exit.INTEGRITY,
        "the proof does not hold",
        "a hash or a signature is not what it must be",
        "do not rely on it; fetch it again from another member's node",
    ),
    "E051": Explained(
        Exit.INTEGRITY,
        "the store is damaged",
        "what is on disk is not what was written",
        "keep a copy, medlock inspect --dir DIR, then let the node learn again from its peers",
    ),
    "E052": Explained(
        Exit.INTEGRITY,
        "the vote record is damaged or missing",
        "a node that forgot its votes could vote twice",
        "medlock inspect --dir DIR; the node abstains until that is safe; where too few others "
        "vote, medlock votes accept-loss --dir DIR",
    ),
    "E053": Explained(
        Exit.INTEGRITY,
        "this node computes another state than the quorum signed",
        "its store or its software differs from the others'",
        "stop it, keep its directory, compare versions, and report it",
    ),
    "E054": Explained(
        Exit.CHECK_FAILED,
        "the vote record is not lost",
        "an override is for a node that abstains; this one would vote twice",
        "leave it as it is: medlock run --dir DIR",
    ),
    "E060": Explained(
        Exit.USAGE,
        "no test network there",
        "`medlock testnet up` writes its state into the directory",
        "medlock testnet up, or give the right --dir",
    ),
    "E061": Explained(
        Exit.USAGE,
        "no node of that name",
        "nodes are named as in `medlock testnet ps`",
        "medlock testnet ps",
    ),
    "E062": Explained(
        Exit.USAGE,
        "the test network exists with other settings",
        "number of validators, seed and latency are fixed when it is made",
        "medlock testnet down --purge, or choose another --dir",
    ),
    "E070": Explained(
        Exit.USAGE,
        "an argument is missing or refused",
        "the command cannot tell what to do",
        "medlock COMMAND --help",
    ),
    "E080": Explained(
        Exit.UNREACHABLE,  # `medlock simulate` counts in its own way: 4 is "nothing was tested"
        "the simulation cannot be run as it was asked for",
        "what cannot be understood, or never happens, tests nothing",
        "docs/simulator.md explains the command and its files",
    ),
    "E099": Explained(
        Exit.CHECK_FAILED,
        "Medlock failed in a way that it did not expect",
        "this is a fault in Medlock",
        f"run again with {DEBUG_VARIABLE}=1 for the trace, and report it",
    ),
}


class OperatorError(Exception):
    """An error with a code, a cause, the reason behind it and a way out.

    `cause`, `why` and `fix` replace the table's sentences where the raiser knows better. None of
    them holds clinical content, keys or passphrases.
    """

    def __init__(
        self,
        code: str,
        cause: str | None = None,
        *,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        entry = ERRORS[code]
        self.code = code
        self.cause = cause or entry.cause
        self.why = why or entry.why
        self.fix = fix or entry.fix
        self.exit_code = entry.exit_code
        super().__init__(f"[{code}] {self.cause}")

    def document(self) -> dict[str, object]:
        """What `--json` prints."""
        return {
            "error": {
                "code": self.code,
                "cause": self.cause,
                "why": self.why,
                "fix": self.fix,
                "exit_code": int(self.exit_code),
            }
        }
