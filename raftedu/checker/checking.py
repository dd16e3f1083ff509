"""Which rules are meant, and a whole check in this process; `raftedu.checker.crew` spreads the same tasks over processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from inspect import getsource
from textwrap import dedent
from time import perf_counter
from typing import Any

from raftedu.checker.engines import do
from raftedu.checker.preflight import preflight
from raftedu.checker.report import Report
from raftedu.checker.tasks import EFFORTS, Done, Task, plan, verdict
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules, rule_names

__all__ = ["check_here", "replaced_names", "report_of", "source_of", "table_of"]


def table_of(rule_or_rules: Callable[[Any], Any] | Rules) -> Rules:
    """Return the table of rules that is meant: a table, or a function named after the rule that it replaces.

    Raises
    ------
    TypeError
        It is neither.
    """
    if isinstance(rule_or_rules, Rules):
        return rule_or_rules
    name = getattr(rule_or_rules, "__name__", None)
    if not callable(rule_or_rules) or name not in rule_names():
        raise TypeError(
            f"check wants a function named after a rule, or Rules such as RULES.but(...); {name or rule_or_rules!r} is none of: "
            f"{', '.join(rule_names())}"
        )
    return RULES.but(**{name: rule_or_rules})


def replaced_names(rules: Rules) -> list[str]:
    """Return which rules are not the reference's."""
    return [f.name for f in fields(Rules) if getattr(rules, f.name) is not getattr(RULES, f.name)]


def check_here(
    rules: Rules, *, effort: str = "class", budget: float = 10.0, seed: int = 0, n: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Return the report on these rules, worked out in this process; ``progress`` is told now and then which part is done, 0 to 1.

    Raises
    ------
    RuleError
        A rule raised, or answered nonsense or differently to the same view.
    """
    names = replaced_names(rules)
    end = perf_counter() + budget
    tasks = plan(names, EFFORTS[effort], seed, n)
    done: dict[int, Done] = {}
    before = 0.0
    preflight(rules, names)
    for place, task in enumerate(tasks):

        def hear(part: float, before: float = before, task: Task = task) -> bool:
            progress(before + task.share * min(1.0, part))
            return perf_counter() < end

        done[place] = do(task, rules, names, hear)
        before += task.share
        if done[place].decides:
            break
    return report_of(names, tasks, done, source_of(rules, names))


def report_of(names: Sequence[str], tasks: Sequence[Task], done: dict[int, Done], source: str | None = None) -> Report:
    """Return the report on what the tasks have found; ``source`` is the text of the rules.

    Raises
    ------
    RuleError
        What decided is that a rule failed.
    """
    coverage, decisive = verdict(tasks, done)
    if decisive is not None and decisive.error is not None:
        raise RuleError(*decisive.error)
    return Report(tuple(names), coverage, None if decisive is None else decisive.case, source)


def source_of(rules: Rules, names: Sequence[str]) -> str | None:
    """Return the text that defines these rules, if all are functions of their names whose text is known."""
    texts = []
    for name in names:
        try:
            text = dedent(getsource(getattr(rules, name)))
        except (OSError, TypeError):  # typed at a prompt that keeps nothing, or no function at all
            return None
        if getattr(getattr(rules, name), "__name__", "") != name or not text.startswith("def "):
            return None
        texts.append(text)
    return "\n\n".join(texts) or None
