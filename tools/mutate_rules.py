"""Write every rule wrong in every small way and ask the checker: ``python tools/mutate_rules.py [rule ...] [--limit N] [--json F]``.

A mutant differs from the reference rule in one point: a comparison, an operand, a constant, a field of its view, a branch. Prints which
ones no search finds. For each of them it says whether it ever answered otherwise than the reference in all that was searched: if not, it
may be the same rule; if so, the checker must either find it or have a reason, and the reasons stand in ``HARMLESS`` below.
"""

from __future__ import annotations

import argparse
import ast
import json
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from inspect import getsource
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

from raftedu.checker.hunt import Hunt, without_collector
from raftedu.checker.masked import hidden
from raftedu.checker.preflight import preflight
from raftedu.checker.profiles import profiles_for
from raftedu.core import rules as right
from raftedu.core import views
from raftedu.core.guard import RuleError
from raftedu.core.rules import RULES, Rules, rule_names

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE, ast.NotEq), ast.LtE: (ast.Lt, ast.Gt, ast.Eq), ast.Gt: (ast.GtE, ast.LtE, ast.NotEq),
    ast.GtE: (ast.Gt, ast.Lt, ast.Eq), ast.Eq: (ast.NotEq, ast.GtE, ast.LtE), ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OPPOSITE = {"max": "min", "min": "max"}
RECORDS = {"b": views.Ballot, "ballot": views.Ballot, "r": views.Round}
"""What the rules call the records that are in their views."""


class Mutant(NamedTuple):
    """A rule with one point changed: ``was`` and ``now`` are that point."""

    rule: str
    was: str
    now: str
    function: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """The rule and what became of the point."""
        return f"{self.rule}: {self.was} -> {self.now}"


class Verdict(NamedTuple):
    """What became of a mutant: ``found`` is the invariant that it broke, ``error`` or nothing; ``differs``: how often it erred."""

    mutant: str
    found: str
    reason: str
    steps: int
    seconds: float
    transitions: int
    differs: int


# ---- making mutants


def view_class(rule: str) -> type:
    """Return the class of the view that a rule is given."""
    hints = typing.get_type_hints(getattr(right, rule))
    return typing.cast(type, hints["view"])


def mutants(rule: str) -> Iterator[Mutant]:
    """Yield every mutant of a rule, each once."""
    tree = ast.parse(getsource(getattr(right, rule))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    if ast.get_docstring(tree) is not None:
        tree.body = tree.body[1:]
    seen = {ast.unparse(tree)}
    for path, node in _walk(tree, ()):
        for new in _instead(node, rule):
            changed = _put(tree, path, new)
            words = ast.unparse(changed)
            if words in seen:
                continue
            seen.add(words)
            now = "pass" if new is None else ast.unparse(new)
            yield Mutant(rule, _short(ast.unparse(node)), _short(now), _compiled(words, rule))


def _short(words: str) -> str:
    return " ".join(words.split())


def _compiled(words: str, rule: str) -> Callable[[Any], Any]:
    space = dict(vars(right))
    exec(compile(words, f"<mutant of {rule}>", "exec"), space)
    return typing.cast("Callable[[Any], Any]", space[rule])


Path_ = tuple[tuple[str, int | None], ...]


def _walk(node: ast.AST, path: Path_) -> Iterator[tuple[Path_, ast.AST]]:
    """Yield every node of the body, with the way to it."""
    for field, value in ast.iter_fields(node):
        if field in ("args", "returns", "decorator_list") and isinstance(node, ast.FunctionDef):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield (*path, (field, place)), child
                yield from _walk(child, (*path, (field, place)))


def _put(tree: ast.FunctionDef, path: Path_, new: ast.AST | None) -> ast.FunctionDef:
    """Return the tree with something else at the end of the path; ``None`` takes a statement out."""
    changed = deepcopy(tree)
    node: Any = changed
    for field, place in path[:-1]:
        node = getattr(node, field) if place is None else getattr(node, field)[place]
    field, place = path[-1]
    if place is None:
        setattr(node, field, new)
    elif new is None:
        getattr(node, field)[place : place + 1] = [] if len(getattr(node, field)) > 1 else [ast.Pass()]
    else:
        getattr(node, field)[place] = new
    return changed


def _instead(node: ast.AST, rule: str) -> Iterator[ast.AST | None]:
    """Yield what may stand in the place of this part of a rule."""
    match node:
        case ast.Compare(left, [op], [other]):
            yield from (ast.Compare(left, [new()], [other]) for new in COMPARISONS[type(op)])
            yield from (ast.Constant(True), ast.Constant(False))
        case ast.Compare(left, ops, others):  # a < b < c: one link wrong, one link missing
            for i, op in enumerate(ops):
                yield from (ast.Compare(left, [*ops[:i], new(), *ops[i + 1 :]], others) for new in COMPARISONS[type(op)])
            yield ast.Compare(left, ops[:1], others[:1])
            yield ast.Compare(others[0], ops[1:], others[1:])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            rest = [values[:i] + values[i + 1 :] for i in range(len(values))]
            yield from (less[0] if len(less) == 1 else ast.BoolOp(op, less) for less in rest)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, op, other):
            yield from (left, other, ast.BinOp(left, ARITHMETIC[type(op)](), other))
        case ast.Constant(value):
            yield from map(ast.Constant, _other_constants(value))
        case ast.IfExp(test, yes, no):
            yield from (yes, no, ast.IfExp(test, no, yes))
        case ast.If(test, body, orelse):
            yield None
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
            yield ast.If(ast.Constant(True), body, orelse)
        case ast.Return(value) if value is not None:
            if isinstance(value, ast.Tuple):
                yield ast.Return(ast.Tuple([*reversed(value.elts)], ast.Load()))
            yield from map(ast.Return, _other_answers(rule))
        case ast.Assign(targets, ast.Tuple(elts)):
            yield ast.Assign(targets, ast.Tuple([*reversed(elts)], ast.Load()), lineno=1)
        case ast.Call():
            yield from _other_calls(node)
        case ast.Attribute(ast.Name(name), field):
            of = view_class(rule) if name == "view" else RECORDS.get(name)
            yield from (ast.Attribute(ast.Name(name), other) for other in _same_type(of, field))
        case ast.Attribute(ast.Attribute(_, "Role") as role, field) | ast.Attribute(ast.Name("Role") as role, field):
            yield from (ast.Attribute(role, other) for other in ("FOLLOWER", "CANDIDATE", "LEADER") if other != field)
        case ast.Slice(low, high, _):
            if low is not None or high is not None:
                yield ast.Slice(high, low)
        case ast.Tuple(elts) | ast.List(elts) if len(elts) > 1:
            yield from (type(node)(elts[:i] + elts[i + 1 :], ast.Load()) for i in range(len(elts)))
        case ast.comprehension(target, source, [_], _):
            yield ast.comprehension(target, source, [], 0)


def _other_constants(value: object) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1]
        case str() if value in ("refused", "appended", "applied", "outdated", "read"):
            return [other for other in ("refused", "appended", "applied", "outdated", "read") if other != value]
        case str() if value in ("success", "fail", "unknown"):
            return [other for other in ("success", "fail", "unknown") if other != value]
        case str() if value in MESSAGES:
            return [other for other in MESSAGES if other != value]
    return []


MESSAGES = ("RequestVote", "VoteReply", "AppendEntries", "AppendReply")


def _other_answers(rule: str) -> Iterator[ast.expr]:
    """Yield a field of the view that has the type of the answer, and the plainest answers."""
    returns = typing.get_type_hints(getattr(right, rule))["return"]
    fields = typing.get_type_hints(view_class(rule))
    yield from (ast.Attribute(ast.Name("view"), name) for name, kind in fields.items() if kind == returns)
    plain: dict[Any, tuple[Any, ...]] = {bool: (True, False), int: (0,), float: (0.0,)}
    yield from map(ast.Constant, plain.get(returns, ()))
    if type(None) in typing.get_args(returns):
        yield ast.Constant(None)


def _other_calls(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in OPPOSITE:
        yield ast.Call(ast.Name(OPPOSITE[name]), call.args, call.keywords)
        yield from call.args if len(call.args) > 1 else ()
        return  # and their order does not matter
    for i in range(len(call.args) - 1):
        args = [*call.args]
        args[i], args[i + 1] = args[i + 1], args[i]
        yield ast.Call(call.func, args, call.keywords)


def _same_type(of: Any, field: str) -> list[str]:
    hints = typing.get_type_hints(of) if of is not None else {}
    kind = hints.get(field)
    return [name for name, other in hints.items() if name != field and kind is not None and _bare(other) == _bare(kind)]


def _bare(kind: Any) -> Any:
    """Return a type without its ``| None``: students mix those up."""
    return next((part for part in typing.get_args(kind) if part is not type(None)), kind) if type(None) in typing.get_args(kind) else kind


# ---- trying them


def tried(mutant: Mutant, limit: int) -> Verdict:
    """Return what the checker says about a mutant."""
    differs = 0
    reference = getattr(RULES, mutant.rule)

    def compared(view: Any) -> Any:
        nonlocal differs
        answer = mutant.function(view)
        differs += answer != reference(view)
        return answer

    began = process_time()
    found, reason, steps, transitions = _searched(RULES.but(**{mutant.rule: compared}), mutant.rule, limit)
    return Verdict(mutant.name, found, reason, steps, process_time() - began, transitions, differs)


def _searched(rules: Rules, rule: str, limit: int) -> tuple[str, str, int, int]:
    near, far = profiles_for([rule])
    hunt = Hunt(rules, pursues=False)
    with without_collector():
        try:
            preflight(rules, [rule])
            catch = hunt.run(near, limit * 2 // 3) or hunt.run(far, limit - limit * 2 // 3)
        except RuleError as error:
            return "error", str(error), 0, 0
    if catch is None and hunt.never():
        return "Something Happens", ", ".join(hunt.never()), 0, hunt.transitions
    if catch is None:
        beside = hidden(rules, [rule])
        catch = beside and beside.catch
    if catch is None:
        return (hunt.remarks[0].name if hunt.remarks else ""), "; ".join(r.reason for r in hunt.remarks), 0, hunt.transitions
    broken = catch.outcome or catch.obligation
    assert broken is not None
    reason = "; ".join(b.reason for b in (catch.obligation, catch.outcome) if b is not None)
    return broken.name, reason, len(catch.steps), hunt.transitions


def main() -> None:
    """Try the mutants of some rules, or of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rules", nargs="*", default=rule_names(), metavar="rule")
    parser.add_argument("--limit", type=int, default=200_000, help="how many transitions each may take")
    parser.add_argument("--json", type=Path, help="where to write all verdicts")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--again", type=Path, help="only those that survived in this file of verdicts")
    asked = parser.parse_args()
    verdicts = []
    before = None if asked.again is None else {v["mutant"] for v in json.loads(asked.again.read_text()) if not v["found"]}
    for mutant in (mutant for rule in asked.rules for mutant in mutants(rule)):
        if before is not None and mutant.name not in before:
            continue
        if asked.list:
            print(mutant.name)
            continue
        verdict = tried(mutant, asked.limit)
        verdicts.append(verdict)
        if not verdict.found:
            told = f"answered otherwise {verdict.differs} times" if verdict.differs else "never answered otherwise"
            print(f"survives: {verdict.mutant}  ({told}, {verdict.seconds:.1f} s)", flush=True)
    counts = Counter(verdict.found for verdict in verdicts)
    print(
        f"{len(verdicts)} mutants, {counts['']} survive; found by: {', '.join(f'{n} {name}' for name, n in counts.most_common() if name)}"
    )
    if asked.json:
        asked.json.write_text(json.dumps([verdict._asdict() for verdict in verdicts], indent=1))


if __name__ == "__main__":
    main()
