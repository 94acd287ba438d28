"""Turns what other rooms raise into an operator's error: whose fault, and what to do."""

from http import HTTPStatus
from typing import Final

from chain.errors import InvalidMessage, Rejected
from client.errors import ApiError, ClientError, NotForUs, Tampered, WalletError
from client.verifier import NotVerified
from ledger.codes import REJECTIONS
from node.errors import OperatorError
from storage.errors import StoreBusy, StoreExists, StoreProblem

_CODE_OF_STATUS: Final = (
    ({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}, "E030"),
    ({HTTPStatus.NOT_FOUND, HTTPStatus.GONE}, "E034"),
    ({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}, "E023"),
    ({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT}, "E040"),
)

_NOT_READ: Final = "a wallet opens under its passphrase only, and none could be read"
_WHY: Final = {
    "api.url": "a token must never travel readable between machines",
    "passphrase.none": _NOT_READ,
    "passphrase.unreadable": _NOT_READ,
    "passphrase.empty": _NOT_READ,
    "passphrase.too_long": "more than that is no passphrase but another file",
    "passphrase.differs": "a typing error would lock the wallet for ever",
}
"""Where the table's sentence for the error's code would mislead."""


def explain(error: Exception) -> OperatorError:
    """The operator's error for any exception that a command lets through."""
    match error:
        case OperatorError():
            return error
        case ApiError():
            return _client(_api_code(error), error)
        case ClientError():
            return _client(_client_code(error), error)
        case StoreProblem():
            return OperatorError(_store_code(error), f"{error.code}: {error.what}", fix=error.fix)
        case ExceptionGroup():
            return explain(error.exceptions[0])
        case _:
            return _other(error)


def refused(code: str, field: str) -> OperatorError:
    """The ledger's no, in the words of the rule."""
    rule = REJECTIONS.get(code)
    where = f" at {field}" if field else ""
    return OperatorError(
        "E033",
        f"rejected: {code}{where}",
        why=rule.rule if rule else None,
        fix=rule.fix if rule else None,
    )


def _other(error: Exception) -> OperatorError:
    match error:
        case InvalidMessage():
            return OperatorError("E018", _at(error.code, error.field, error.cause))
        case Rejected():
            return OperatorError("E033", _at(f"rejected: {error.code}", error.field, ""))
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return OperatorError("E016", f"{place}{error.strerror or type(error).__name__}")
        case _:
            return OperatorError("E099", f"unexpected {type(error).__name__}")


def _client(code: str, error: ClientError) -> OperatorError:
    cause = _at(error.code, error.field, error.cause)
    return OperatorError(code, cause, why=_WHY.get(error.code), fix=error.fix or None)


def _client_code(error: ClientError) -> str:
    match error:
        case WalletError():
            return "E031"
        case NotForUs():
            return "E032"
        case Tampered() | NotVerified():
            return "E050"
        case _:
            return "E035"


def _api_code(error: ApiError) -> str:
    """By the HTTP status; 0 is a node that cannot be reached."""
    if error.code == "api.url":
        return "E070"
    if error.status == 0:
        return "E043" if error.code == "api.timeout" else "E020"
    for statuses, code in _CODE_OF_STATUS:
        if error.status in statuses:
            return code
    return "E022" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "E035"


def _store_code(error: StoreProblem) -> str:
    match error:
        case StoreBusy():
            return "E014"
        case StoreExists():
            return "E008"
        case _:
            return "E017" if error.code == "store.other_genesis" else "E051"


def _at(code: str, field: str, cause: str) -> str:
    where = f" at {field}" if field else ""
    return f"{code}{where}: {cause}" if cause else f"{code}{where}"
