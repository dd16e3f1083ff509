"""The checker: a wrong rule meets its shortest counterexample. `check` is what a person types, `Report` what comes back.

From below to above: ``profiles steps snapshot machine turns *_obligations invariants history looking model moves symmetry search hunt
replay preflight report shrink checking frames worker process``; ``wrong_rules`` is the catalogue, ``plain`` the referee of the outcomes.
Needs only `core`, `events`, `sim` and `trace`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from raftedu.checker.checking import EFFORTS, check_here, replaced_names, table_of
from raftedu.checker.process import NoProcess, check_in_child
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
    workers
        0: in this process, where a rule that hangs cannot be ended. Otherwise in a process of its own.
    seed
        What random schedules come from.
    n
        Only clusters of this many nodes.

    Raises
    ------
    RuleError
        The rule raised, answered nonsense or differently to the same view, did not come back, or ended its process.
    """
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r}: choose one of {', '.join(EFFORTS)}")
    rules = table_of(rule_or_rules)
    settings: dict[str, Any] = {"effort": effort, "budget": budget, "n": n}
    if workers:
        try:
            return check_in_child(rules, replaced_names(rules), settings, lambda _: None)
        except NoProcess as error:
            warnings.warn(f"the check runs in this process, where a rule that hangs cannot be ended: {error}", stacklevel=2)
    return check_here(rules, **settings)
