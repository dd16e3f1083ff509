"""The checker: a wrong rule meets its shortest counterexample. `check` is what a person types, `Report` what comes back.

From below to above: ``profiles steps snapshot machine turns *_obligations invariants history looking model moves symmetry search hunt
replay preflight report checking``; ``wrong_rules`` is the catalogue. Needs only `core`, `events`, `sim` and `trace`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raftedu.checker.checking import EFFORTS, check_here, table_of
from raftedu.checker.report import Report, RuleBroken
from raftedu.core.rules import Rules

__all__ = ["Report", "RuleBroken", "check"]


def check(
    rule_or_rules: Callable[[Any], Any] | Rules, *, effort: str = "class", budget: float = 10.0, workers: int = 1, seed: int = 0,
    n: int | None = None,
) -> Report:  # fmt: skip
    """Return a report on a rule: what was searched without a violation, or the shortest schedule found that breaks an invariant.

    Parameters
    ----------
    rule_or_rules
        A function whose name is that of the rule it replaces, such as ``grant_vote``; or a whole table, ``RULES.but(...)``.
    effort
        ``"quick"``, ``"class"`` or ``"thorough"``: how much is tried. It counts transitions, so that the verdict is the same everywhere.
    budget
        Seconds of real time. When they are over the verdict is "not finished".
    workers, seed
        How many processes share the work, and what their random schedules come from.
    n
        Only clusters of this many nodes.

    Raises
    ------
    RuleError
        The rule raised, or answered nonsense or differently to the same view.
    """
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r}: choose one of {', '.join(EFFORTS)}")
    return check_here(table_of(rule_or_rules), effort=effort, budget=budget, n=n)
