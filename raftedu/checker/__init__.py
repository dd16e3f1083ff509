"""The checker: a wrong rule meets its shortest counterexample. `check` is what a person types, `Report` what comes back.

From below to above: ``profiles steps snapshot machine turns *_obligations invariants coverage history looking model moves symmetry
search hunt replay shrink preflight`` look and play; ``masked``, ``walker walks``, ``judge storm guided liveness probes`` look elsewhere;
``plain still directed referee code`` confirm and show; ``case tasks engines page report checking frames worker process crew showing`` make
a check of it. ``wrong_rules`` is the catalogue, ``stub`` and ``fields`` the exercise sheet. Needs only `core`, `events`, `sim`, `trace`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from raftedu.checker.checking import check_here, replaced_names, report_of, source_of, table_of
from raftedu.checker.crew import Errand, by_children, by_executor
from raftedu.checker.process import NoProcess
from raftedu.checker.report import Report, RuleBroken
from raftedu.checker.showing import bar
from raftedu.checker.tasks import EFFORTS, plan
from raftedu.core.rules import Rules

__all__ = ["Report", "RuleBroken", "check"]

WORKERS = 2


def check(
    rule_or_rules: Callable[[Any], Any] | Rules, *, effort: str = "class", budget: float = 10.0, workers: int | None = None,
    executor: Executor | None = None, seed: int = 0, n: int | None = None,
) -> Report:  # fmt: skip
    """Return a report on a rule: what was searched without a violation, or the shortest schedule found that breaks an invariant.

    Parameters
    ----------
    rule_or_rules
        A function whose name is that of the rule it replaces, such as ``grant_vote``; or a whole table, ``RULES.but(...)``.
    effort
        ``"quick"``, ``"class"`` or ``"thorough"``: how much is tried. It counts transitions and schedules, so that the verdict is the same
        everywhere.
    budget
        Seconds of real time. When they are over and nothing was found the verdict is "not finished".
    workers
        How many processes of their own the rules run in, 2 if nothing is said. 0: in this process, where a rule that hangs cannot be ended.
    executor
        Any `concurrent.futures.Executor`, such as ``dask.distributed.Client(...).get_executor()``, instead of processes of this machine.
    seed
        What random schedules come from.
    n
        Only clusters of this many nodes.

    Raises
    ------
    RuleError
        The rule raised, answered nonsense or differently to the same view, did not come back, or ended its process.
    KeyboardInterrupt
        It was interrupted; nothing is left running.
    """
    if effort not in EFFORTS:
        raise ValueError(f"effort={effort!r}: choose one of {', '.join(EFFORTS)}")
    rules = table_of(rule_or_rules)
    names = replaced_names(rules)
    title = f"checking {' and '.join(names) or 'the reference rules'}"
    with bar(title) as show:
        if workers != 0 or executor is not None:
            errand = Errand(plan(names, EFFORTS[effort], seed, n), cloudpickle.dumps(rules), names, budget)
            try:
                if executor is not None:
                    by_executor(errand, executor, lambda: show(errand.part))
                else:
                    by_children(errand, WORKERS if workers is None else workers, lambda: show(errand.part), keep=hasattr(sys, "ps1"))
                return report_of(names, errand.tasks, errand.done, source_of(rules, names))
            except NoProcess as error:
                warnings.warn(f"the check runs in this process, where a rule that hangs cannot be ended: {error}", stacklevel=2)
        return check_here(rules, effort=effort, budget=budget, seed=seed, n=n, progress=show)
