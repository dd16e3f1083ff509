"""``raftedu check``: rules in a file of one's own, each looked at alone and then together; or the whole catalogue of wrong ones.

Exit codes: 0 nothing found, 1 a violation, 2 the file or a rule of it cannot be used, 3 time was up before there was a verdict.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import click

from raftedu.checker import Report, check
from raftedu.checker.checking import replaced_names
from raftedu.checker.invariants import INVARIANTS
from raftedu.checker.loading import FileError, Found, load
from raftedu.checker.stub import no_such_rule
from raftedu.checker.tasks import EFFORTS
from raftedu.checker.wrong_rules import CATALOGUE, WrongRule
from raftedu.cli.telling import paint
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules, rule_names

__all__ = ["command"]

PASSED, VIOLATION, UNUSABLE, UNFINISHED = 0, 1, 2, 3
NEAREST_RANK = (50, 95)


class Mistake(click.ClickException):
    """A person's mistake: one line, and not the exit code of a violation."""

    exit_code = UNUSABLE


class Case(NamedTuple):
    """One thing to check: what it is called, and the rules with it in them."""

    label: str
    rules: Rules


@click.command(short_help="Look for the shortest schedule that breaks your rules.")
@click.argument("words", nargs=-1, metavar="[FILE]")
@click.option("--rule", "names", multiple=True, metavar="NAME", help="Only this rule of the file; may be given several times.")
@click.option("--effort", type=click.Choice(list(EFFORTS)), default="class", show_default=True, help="How much is tried.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), help="Seconds for each check.  [default: 10]")
@click.option("--seed", type=int, default=0, show_default=True, help="What random schedules come from.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes for the rules; 0: in this one, where a loop cannot be ended.")
@click.option("--nodes", type=click.IntRange(min=1), help="Only clusters of this many nodes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of words.")
@click.option("--catalogue", is_flag=True, help="Try the catalogue of wrong rules instead; FILE is then any number of its ids.")
def command(words: tuple[str, ...], names: tuple[str, ...], as_json: bool, catalogue: bool, **settings: Any) -> None:
    """Look for the shortest schedule in which the rules in FILE break what Raft or the lease promises.

    FILE has functions named after rules, such as grant_vote, and perhaps a table `rules = RULES.but(...)`. Each is checked alone, and all
    together if there are several. The exit code is 0 if nothing was found, 1 after a violation, 2 if the file or a rule cannot be used,
    3 if time was up.

    \b
        raftedu check my_rules.py
        raftedu check my_rules.py --rule grant_vote --json
        raftedu check --catalogue CM-01 EL-01
    """  # noqa: D301 (click reads the backspace)
    options = {"n": settings.pop("nodes"), **{name: value for name, value in settings.items() if value is not None}}
    if catalogue:
        if names:
            raise Mistake("--rule belongs to a file, not to --catalogue: name rows by their ids, as in --catalogue EL-01")
        sys.exit(_catalogue(words, options, as_json))
    if len(words) != 1:
        raise Mistake("name one file with your rules in it, as in `raftedu check my_rules.py`")
    sys.exit(_check_file(Path(words[0]), names, options, as_json))


# ---- a file


def _check_file(path: Path, names: tuple[str, ...], options: dict[str, Any], as_json: bool) -> int:
    try:
        cases = list(_cases(path, load(path), names))
    except FileError as error:
        raise Mistake(str(error)) from error
    outcomes: list[dict[str, Any]] = []
    for case in cases:
        if len(replaced_names(case.rules)) > 1 and any(o["verdict"] == "rule error" for o in outcomes):
            continue  # it would only say the same once more
        try:
            report: Report | RuleError = check(case.rules, **options)
        except RuleError as error:
            report = error
        outcomes.append(_document(case, report))
        if not as_json:
            click.echo(_words(case, report))
    code = _exit_code([outcome["verdict"] for outcome in outcomes])
    if as_json:
        click.echo(json.dumps({"file": str(path), "passed": code == PASSED, "checks": outcomes}, indent=2, ensure_ascii=False))
    return code


def _cases(path: Path, found: Found, names: tuple[str, ...]) -> Iterator[Case]:
    """Yield each rule alone, then each set of several."""
    alone, tables = dict(found.functions), dict(found.tables)
    for table in tables.values():
        for name in replaced_names(table):
            alone.setdefault(name, getattr(table, name))
    _tell_near(path, found, bool(alone))
    for name in names:
        if name not in alone:
            raise Mistake(_no_such(path, name, list(alone)))
    if names:
        alone, tables = {name: rule for name, rule in alone.items() if name in names}, {}
    yield from (Case(name, RULES.but(**{name: alone[name]})) for name in rule_names() if name in alone)
    sets = {"all together": RULES.but(**alone), **tables}
    seen: list[Rules] = []
    for label, rules in sets.items():
        if len(replaced_names(rules)) > 1 and rules not in seen:
            seen.append(rules)
            yield Case(label, rules)


def _tell_near(path: Path, found: Found, has_rules: bool) -> None:
    told = [f"do you mean `{rule}` by `{name}`?" for name, rule in found.near.items()]
    if not has_rules:
        hint = " ".join(told) or f"the rules are: {', '.join(rule_names())}"
        raise Mistake(f"{path} has no function named after a rule; {hint}")
    for line in told:
        click.echo(f"Warning: {path}: {line}", err=True)


def _no_such(path: Path, name: str, has: list[str]) -> str:
    if name in rule_names():
        return f"{path} has no {name}; it has: {', '.join(has)}"
    return no_such_rule(name)


def _exit_code(verdicts: list[str]) -> int:
    for verdict, code in (("violation", VIOLATION), ("rule error", UNUSABLE), ("not finished", UNFINISHED)):
        if verdict in verdicts:
            return code
    return PASSED


# ---- one report


def _verdict(report: Report | RuleError) -> str:
    if isinstance(report, RuleError):
        return "rule error"
    if report.passed:
        return "passed"
    return "violation" if report.finished else "not finished"


def _words(case: Case, report: Report | RuleError) -> str:
    if isinstance(report, RuleError):
        return paint(f"{case.label}: cannot be checked", fg="red", bold=True) + f"\n  {report}"
    first, _, rest = str(report).partition("\n")
    colour = {"passed": "green", "violation": "red"}.get(_verdict(report), "yellow")
    return paint(first, fg=colour, bold=True) + (f"\n{rest}" if rest else "")


def _document(case: Case, report: Report | RuleError) -> dict[str, Any]:
    """Return a report as docs/commands.md has it; there is nothing in it that differs from run to run."""
    known: dict[str, Any] = {"label": case.label, "rules": replaced_names(case.rules), "verdict": _verdict(report)}
    if isinstance(report, RuleError):
        return {**known, "invariant": None, "reason": str(report), "steps": 0, "warm_up": [], "schedule": [], "coverage": None}
    c = report.coverage
    coverage = {
        "transitions": c.transitions, "states": c.states, "walks": c.walks, "schedules": c.schedules,
        "simulated_seconds": round(c.seconds, 3), "finished": c.finished,
        "profiles": [{"name": name, "depth": depth, "exhausted": whole} for name, depth, whole in c.profiles],
    }  # fmt: skip
    return {
        **known, "invariant": report.invariant, "reason": report.reason, "steps": report.steps, "warm_up": report.warm_up,
        "schedule": report.schedule, "coverage": coverage,
    }  # fmt: skip


# ---- the catalogue


class Row(NamedTuple):
    """What became of one wrong rule; ``found_by`` is the invariant, or ``"RuleError"``; empty if nothing was found."""

    id: str
    rule: str
    what: str
    found_by: str
    steps: int
    seconds: float


def _catalogue(ids: tuple[str, ...], options: dict[str, Any], as_json: bool) -> int:
    rows = _chosen(ids)
    print_row = _Table(rows)
    options = {"budget": 60.0, "workers": 0, **options}
    if not as_json:
        print_row("id", "rule", "what it does", "found by", "steps", "seconds")
    done = []
    for row in rows:
        done.append(_try(row, options))
        if not as_json:
            tried = done[-1]
            print_row(*tried[:3], tried.found_by or "NOT FOUND", str(tried.steps), f"{tried.seconds:.2f}", bad=not tried.found_by)
    found = [row for row in done if row.found_by]
    if as_json:
        click.echo(json.dumps([row._asdict() for row in done], indent=2, ensure_ascii=False))
    else:
        click.echo(_summary(done, found))
    return PASSED if len(found) == len(done) else VIOLATION


def _chosen(ids: tuple[str, ...]) -> list[WrongRule]:
    known = {row.id: row for row in CATALOGUE}
    for id in ids:
        if id not in known:
            raise Mistake(f"the catalogue has no {id}; it has: {', '.join(known)}")
    return [known[id] for id in ids] or list(CATALOGUE)


def _try(row: WrongRule, options: dict[str, Any]) -> Row:
    began = perf_counter()
    try:
        report = check(row.rules, **options)
        found_by, steps = report.invariant or "", report.steps
    except RuleError:  # some mistakes are seen before any search
        found_by, steps = "RuleError", 0
    return Row(row.id, _rule(row), row.what, found_by, steps, round(perf_counter() - began, 3))


def _rule(row: WrongRule) -> str:
    return " + ".join(row.replaced)


class _Table:
    """Prints a row as soon as it is known, so the columns are as wide as what may come; on a terminal the words are cut to one line."""

    def __init__(self, rows: list[WrongRule]) -> None:
        known = [("id", *(row.id for row in rows)), ("rule", *map(_rule, rows)), ("what it does", *(row.what for row in rows)), INVARIANTS]
        self._widths = [max(map(len, column)) for column in known] + [5, 7]
        room = shutil.get_terminal_size().columns - sum(self._widths) + self._widths[2] - 2 * len(self._widths)
        if sys.stdout.isatty():
            self._widths[2] = max(12, min(self._widths[2], room))

    def __call__(self, *cells: str, bad: bool = False) -> None:
        """Print a row."""
        left = [f"{cell[:width]:<{width}}" for cell, width in zip(cells[:4], self._widths, strict=False)]
        line = "  ".join([*left, *(f"{cell:>{width}}" for cell, width in zip(cells[4:], self._widths[4:], strict=True))])
        click.echo(paint(line, fg="red", bold=True) if bad else line)


def _summary(done: list[Row], found: list[Row]) -> str:
    seconds, steps = sorted(row.seconds for row in done), sorted(row.steps for row in found)
    told = ", ".join(f"p{part} {_at(seconds, part):.2f}" for part in NEAREST_RANK)
    lines = ["", f"{len(found)} of {len(done)} found; seconds: {told}, max {seconds[-1]:.2f}, all {sum(seconds):.1f}"]
    if steps:
        lines.append(f"steps: p50 {_at(steps, 50)}, p90 {_at(steps, 90)}, max {steps[-1]}")
    return "\n".join(lines)


def _at(values: list[Any], part: int) -> Any:
    """Return the value that ``part`` percent do not exceed."""
    return values[min(len(values) - 1, max(0, -(-len(values) * part // 100) - 1))]
