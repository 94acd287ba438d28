"""Refusals of the gateway: a status, the issues found, and the OperationOutcome that says so.

OperationOutcome (FHIR R4 §2.28.9) is the only body that a refusal has below /fhir/R4. An issue has
a code of FHIR's own (`issue-type`), a stable code of ours, a sentence of ours, and FHIRPath
expressions that lead to the fault. Nothing here repeats what was sent: `expression` names elements
and positions, never values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from chain.errors import InvalidMessage, Rejected
from client.fhir_json import Value
from ledger.codes import INVALID, REJECTIONS
from ledger.decision import WHY, Decision, Why

ISSUES_MAX: Final = 100
"""Issues that one refusal names; what is wrong beyond them is told after these are mended."""

CODES_URI: Final = "urn:medlock:problem"
"""The code system of our codes in `issue.details`."""

IssueType = Literal[
    "business-rule",
    "code-invalid",
    "conflict",
    "deleted",
    "duplicate",
    "exception",
    "expired",
    "forbidden",
    "informational",
    "invalid",
    "invariant",
    "login",
    "multiple-matches",
    "not-found",
    "not-supported",
    "processing",
    "required",
    "security",
    "structure",
    "suppressed",
    "throttled",
    "too-costly",
    "too-long",
    "transient",
    "unknown",
    "value",
]
"""The codes of http://hl7.org/fhir/issue-type (R4) that this gateway uses."""

Severity = Literal["error", "information", "warning"]

_TYPE_OF_STATUS: Final[Mapping[int, IssueType]] = MappingProxyType(
    {
        400: "invalid",
        401: "login",
        403: "forbidden",
        404: "not-found",
        405: "not-supported",
        406: "not-supported",
        409: "conflict",
        410: "deleted",
        411: "required",
        412: "conflict",
        413: "too-long",
        415: "not-supported",
        422: "processing",
        429: "throttled",
        501: "not-supported",
        503: "transient",
        504: "transient",
    }
)
_TOO_LARGE: Final = frozenset(
    {
        "bundle.resource_too_large",
        "bundle.too_many",
        "codec.too_large",
        "json.too_large",
        "transaction.attachment_too_large",
        "transaction.attachments_too_large",
        "transaction.too_heavy",
        "transaction.too_large",
        "transaction.too_many_actions",
        "transaction.too_many_attachments",
    }
)
_CONFLICTS: Final = frozenset(
    {
        "careplan.version_out_of_order",
        "category.epoch_not_current",
        "category.epoch_out_of_order",
        "record.version_out_of_order",
        "transaction.repeated",
    }
)
_FORBIDDEN: Final = frozenset(
    {
        "access.basis_not_in_force",
        "access.not_reader",
        "access.reader_suspended",
        "careplan.not_author",
        "careplan.not_clinician",
        "category.not_author",
        "organization.suspended",
        "owner.foreign",
        "patient.not_registrar",
        "patient.not_sender",
        "proxy.beyond_scope",
        "proxy.not_appointed",
        "record.not_author",
        "record.not_writer",
    }
)
_GONE: Final = frozenset({"attachment.erased", "record.retracted", "scope.erased"})


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong (OperationOutcome.issue).

    `reason` is our stable code, `text` a sentence, `fix` the way out, `expression` FHIRPaths such
    as "Patient.gender" or "Bundle.entry[3].resource.birthDate".
    """

    code: IssueType
    reason: str
    text: str
    expression: tuple[str, ...] = ()
    fix: str = ""
    severity: Severity = "error"

    def document(self) -> dict[str, Value]:
        """The element of OperationOutcome.issue."""
        coding: dict[str, Value] = {"system": CODES_URI, "code": self.reason}
        issue: dict[str, Value] = {
            "severity": self.severity,
            "code": self.code,
            "details": {"coding": [coding], "text": self.text},
        }
        if self.fix:
            issue["diagnostics"] = self.fix
        if self.expression:
            issue["expression"] = list(self.expression)
        return issue


class FhirProblem(Exception):  # noqa: N818 - says what is the matter
    """An answer that is a refusal, with every issue found. `headers` go into the answer."""

    def __init__(
        self, status: int, *issues: Issue, headers: Mapping[str, str] | None = None
    ) -> None:
        assert issues, "a refusal says why"
        super().__init__(issues[0].reason)
        self.status = status
        self.issues = issues[:ISSUES_MAX]
        self.headers = dict(headers or {})

    @property
    def reason(self) -> str:
        """The stable code of the first issue."""
        return self.issues[0].reason

    def document(self) -> dict[str, Value]:
        """The OperationOutcome."""
        return outcome(self.issues)

    def inside(self, place: str) -> "FhirProblem":
        """The same of a resource that stands at `place`, as "Bundle.entry[3].resource".

        The type's name at the head of an expression is what stands there and gives way to it.
        """
        return FhirProblem(
            self.status,
            *(
                Issue(
                    each.code,
                    each.reason,
                    each.text,
                    tuple(_moved(one, place) for one in each.expression) or (place,),
                    each.fix,
                    each.severity,
                )
                for each in self.issues
            ),
            headers=self.headers,
        )


def problem(
    status: int,
    reason: str,
    text: str,
    *expression: str,
    code: IssueType | None = None,
    fix: str = "",
) -> FhirProblem:
    """A refusal with one issue; its FHIR code follows from `status` where none is given."""
    return FhirProblem(status, Issue(code or issue_type(status), reason, text, expression, fix))


def refuse(status: int, issues: Iterable[Issue]) -> FhirProblem | None:
    """A refusal for `issues`; None where there are none."""
    found = tuple(issues)
    return FhirProblem(status, *found) if found else None


def outcome(issues: Iterable[Issue]) -> dict[str, Value]:
    """An OperationOutcome of `issues`; one that says that all is well where there are none."""
    found: list[Value] = [each.document() for each in issues]
    if not found:
        found.append(
            Issue("informational", "ok", "no fault found", (), "", "information").document()
        )
    return {"resourceType": "OperationOutcome", "issue": found}


def issue_type(status: int) -> IssueType:
    """FHIR's code for a refusal with HTTP status `status`."""
    if status in _TYPE_OF_STATUS:
        return _TYPE_OF_STATUS[status]
    return "exception" if status >= 500 else "processing"


def of_invalid(error: InvalidMessage, root: str = "") -> FhirProblem:
    """The refusal of malformed input. `root` is the type at whose root the pointer begins."""
    status = 413 if error.code in _TOO_LARGE else 400
    explained = INVALID.get(error.code)
    expression = _expression(error.field, root)
    code: IssueType = "too-long" if status == 413 else "structure"
    return problem(
        status,
        error.code,
        error.cause or (explained.rule if explained else "not what an honest sender makes"),
        *expression,
        code=code,
        fix=explained.fix if explained else "",
    )


def of_rejected(error: Rejected, *expression: str) -> FhirProblem:
    """The refusal where the ledger's rules said no. `expression` is what in the request it is for.

    The field of the rejection is a place in the transaction, which a FHIR client never saw.
    """
    explained = REJECTIONS.get(error.code)
    status, code = _of_rejection(error.code)
    return problem(
        status,
        error.code,
        explained.rule if explained else "the ledger's rules refuse this",
        *expression,
        code=code,
        fix=explained.fix if explained else "",
    )


def of_denied(decision: Decision, *expression: str) -> FhirProblem:
    """The refusal where the decision function denies a read: 403, or 410 where it is erased."""
    assert not decision.permit
    return of_why(decision.why, *expression)


def of_why(why: Why, *expression: str) -> FhirProblem:
    """As `of_denied`, from the reason alone."""
    if why == "scope.erased":
        return problem(410, why, WHY[why], *expression)
    return problem(403, f"access.denied.{why}", WHY[why], *expression, fix=_way_out(why))


def _way_out(why: Why) -> str:
    if why == "reader.suspended":
        return REJECTIONS["access.reader_suspended"].fix
    return "ask the patient for access (POST a Consent with status proposed)"


def _of_rejection(code: str) -> tuple[int, IssueType]:
    for status, codes in ((410, _GONE), (409, _CONFLICTS), (413, _TOO_LARGE), (403, _FORBIDDEN)):
        if code in codes:
            return status, issue_type(status)
    if code.endswith(".unknown"):
        return 404, "not-found"
    return 422, "business-rule"


def _expression(field: str, root: str) -> tuple[str, ...]:
    if not root:
        return (field,) if field else ()
    return (f"{root}.{field}" if field else root,)


def _moved(expression: str, place: str) -> str:
    _, dot, rest = expression.partition(".")
    return f"{place}{dot}{rest}"
