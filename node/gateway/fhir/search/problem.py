"""What is wrong with a search, said so that it becomes an OperationOutcome without more thought."""

import re
from typing import Final, Literal, TypeAlias

from chain.errors import InvalidMessage

Issue: TypeAlias = Literal["invalid", "value", "not-supported", "too-costly", "expired"]
"""Codes of FHIR R4's value set `issue-type`."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_.:\-]{0,99}\Z")
"""No name of a parameter has a digit; the number of a patient has."""


class SearchProblem(InvalidMessage):
    """The client's fault. `field` is the expression, "http." and the parameter's name (FHIR R4
    §2.27.4, OperationOutcome.issue.expression); `code` is stable; `cause` never repeats a value."""

    def __init__(self, code: str, name: str, cause: str, issue: Issue = "value") -> None:
        super().__init__(code, expression(name), cause)
        self.issue = issue


def expression(name: str) -> str:
    """Where parameter `name` stands; odd names, which may be somebody's, are not repeated."""
    return f"http.{name if _PLAIN_NAME.match(name) else '?'}"
