"""The wrong-rule catalogue as data: real mistakes of students and of production systems, each one function in the place of another.

A row says what it breaks, what to tell a student, and where the mistake was seen. Only data: the tests and the command line run it. The
rows stand by chapter in ``wrong_election_rules``, ``wrong_log_rules``, ``wrong_lease_rules`` and ``wrong_read_rules``; mistakes that are
no rule's are told of in `raftedu.checker.known_mistakes`.
"""

from __future__ import annotations

from raftedu.checker import wrong_election_rules, wrong_lease_rules, wrong_log_rules, wrong_read_rules
from raftedu.checker.wrong_rule import WrongRule

__all__ = ["CATALOGUE", "WrongRule", "find"]

CATALOGUE: list[WrongRule] = [*wrong_election_rules.ROWS, *wrong_log_rules.ROWS, *wrong_lease_rules.ROWS, *wrong_read_rules.ROWS]


def find(id: str) -> WrongRule:
    """Return the row of this id.

    Raises
    ------
    LookupError
        There is no such row.
    """
    for row in CATALOGUE:
        if row.id == id:
            return row
    raise LookupError(f"there is no wrong rule {id!r}; the catalogue has {', '.join(row.id for row in CATALOGUE)}")
