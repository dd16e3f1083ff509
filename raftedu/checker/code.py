"""A counterexample as a short test that a student can keep: it fails for the wrong rule and passes for the right one.

Only text is made here, from a schedule and a few words; nothing is played.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import fields
from textwrap import dedent, fill, indent
from types import ModuleType

from raftedu.checker.profiles import Profile
from raftedu.checker.replay import Schedule, Script
from raftedu.checker.steps import Append, Crash, Elect, Late, Read, Step, Tick, Write
from raftedu.checker.storm import Action
from raftedu.core import types, views
from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply

__all__ = ["as_code", "storm_as_code", "story_as_code"]

WIDTH = 120

_ONLY_BOUNDS = frozenset({
    "name", "n", "warm", "terms", "entries", "writes", "retries", "late", "again", "lost", "ask_all", "leftovers", "gets",
})  # fmt: skip
"""What bounds a search and changes nothing on a cluster that is directed."""

_OF_READS = frozenset({"No Stale Read", "Read Under Lease", "Read Answers the Value"})

_HELD = {RequestVote: "late_request", VoteReply: "late_vote", AppendEntries: "late_append", AppendReply: "late_reply"}


def as_code(
    names: Sequence[str], schedule: Schedule, broken: str, reason: str, source: str | None = None, *, beside: str = "",
) -> str:  # fmt: skip
    """Return a test module for pytest that plays a schedule and demands that an invariant holds.

    Parameters
    ----------
    names
        The rules that are replaced.
    schedule, broken, reason
        What is played, which invariant it breaks, and why, in a sentence.
    source
        The text that defines the functions of these names; without it, or if it does not, the test takes them from a file ``my_rules.py``.
    beside
        The words of the weakened neighbour (`raftedu.checker.masked`) beside which the schedule is played, if there is one.
    """
    own_world = f"next(weak for weak in NEIGHBOURS if weak.words == {beside!r}).beside({_table(names)})" if beside else _table(names)
    imports = ["from raftedu.checker.directed import DirectedCluster"]
    imports += ["from raftedu.checker.masked import NEIGHBOURS"] if beside else []
    body = [
        f"rules = {own_world}",
        _cluster(schedule.profile),
        *_lines(schedule),
        *(["for node in cluster.nodes:", "    cluster.read(node)"] if broken in _OF_READS else []),
        f'cluster.must_hold("{broken}")',
    ]
    return _module(names, imports, body, broken, reason, source)


def storm_as_code(
    names: Sequence[str], seed: int, actions: Sequence[Action], broken: str, reason: str, source: str | None = None,
) -> str:  # fmt: skip
    """Return a test module that plays a storm, with these faults, and demands that nothing breaks; parameters as for `as_code`."""
    imports = ["from raftedu.checker.guided import Storm, play_storm"]
    imports += ["from raftedu.checker.storm import Action"] if actions else []
    body = [
        "faults = (",
        *(f"    Action({action.time!r}, {action.words!r}, {action.call!r})," for action in actions),
        ")",
        f"broken = play_storm(Storm({seed}, faults, None, None), {_table(names)}, listening=False).storm()",
        'assert broken is None, f"{broken.invariant}: {broken.reason}"',
    ]
    return _module(names, imports, body if actions else ["faults = ()", *body[2:]], broken, reason, source)


def story_as_code(names: Sequence[str], seed: int, broken: str, reason: str, source: str | None = None) -> str:
    """Return a test module that plays the directed stories of a seed and demands that all end well; parameters as for `as_code`."""
    body = [
        f"wrong = run_probes({_table(names)}, [], range({seed}, {seed + 1})).failure",
        'assert wrong is None, f"{wrong[2].broken.name}: {wrong[2].broken.reason}"',
    ]
    return _module(names, ["from raftedu.checker.probes import run_probes"], body, broken, reason, source)


def _table(names: Sequence[str]) -> str:
    return f"RULES.but({', '.join(f'{name}={name}' for name in names)})" if names else "RULES"


def _module(names: Sequence[str], imports: list[str], body: Sequence[str], broken: str, reason: str, source: str | None) -> str:
    """Return the whole text: what it is for, imports, the rule or where it comes from, and one test with this body."""
    own = source is not None and _defines(source, names)
    imports = ["from raftedu import RULES", *imports]
    text = dedent(source).strip() if own and source is not None else ""
    head = "\n".join([*_imports_of(text), *imports]) if own else "\n".join(imports)
    where = [text] if own else [f"from my_rules import {', '.join(names)}  # my_rules.py, beside this file, holds what you wrote"]
    test = [
        f"def test_{_snake(broken)}():",
        indent(fill(f'"""{_quoted(reason)}."""', WIDTH - 4), "    "),
        *(indent(line, "    ") for line in body),
    ]
    what = f'"""Fails while {" or ".join(names) or "a rule"} breaks {broken}, and passes when it is right. Run it with pytest."""'
    gap = "\n\n\n" if own else "\n\n"
    return gap.join([f"{what}\n\n{head}", *(where if names else [])]) + "\n\n\n" + "\n".join(test) + "\n"


def _snake(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _quoted(reason: str) -> str:
    return reason.replace("\\", "\\\\").replace('"""', "'''").rstrip('." ')


# ---- the cluster and its steps


def _cluster(profile: Profile) -> str:
    told = ", ".join([str(profile.n), "rules", *_world(profile)])
    line = f"cluster = DirectedCluster({told})"
    return line if len(line) <= WIDTH - 4 else f"cluster = DirectedCluster(\n    {told},\n)"


def _world(profile: Profile) -> Iterator[str]:
    """Yield what else must be said of the cluster's world."""
    for field in fields(Profile):
        value = getattr(profile, field.name)
        if field.name not in _ONLY_BOUNDS and value != field.default:
            yield f"{field.name}={value!r}"


def _lines(schedule: Schedule) -> Iterator[str]:
    names = _names_of_held(schedule)
    if schedule.before:
        yield "# node 1 becomes a stable leader"
    for place, script in enumerate(schedule.scripts):
        if place == schedule.before and place:
            yield "# and then"
        step = script.step
        if isinstance(step, Late):
            yield f"cluster.deliver({_held(schedule, place, names)}{', again=True' if step.again else ''})"
        else:
            yield f"{names[place]} = {_call(step)}" if place in names else _call(step)


def _call(step: Step) -> str:
    match step:
        case Elect(i, voters, term, delayed):
            via = f"via={[voter + 1 for voter in voters]}, " if voters else ""
            return f"cluster.elect({i + 1}, {via}term={term}{', votes_late=True' if delayed else ''})"
        case Append(i, j, how):
            name, _, what = how.partition(" ")
            told = f', {name}="{what}"' if how else ""
            return f"cluster.append({i + 1}, {j + 1}{told})"
        case Write(i, number, _):
            return f'cluster.write({i + 1}, "w{number}")'
        case Read(i, _):
            return f"cluster.read({i + 1})"
        case Crash(i):
            return f"cluster.crash_and_restart({i + 1})"
        case Tick(slow, stuck):
            whose = [f"{name}={place + 1}" for name, place in (("slow", slow), ("stuck", stuck)) if place >= 0]
            return f"cluster.tick({', '.join(whose)})"
        case Late():
            raise AssertionError("a late message is delivered, not called")


# ---- what is held


def _names_of_held(schedule: Schedule) -> dict[int, str]:
    """Return a name for what each step holds back, if it is delivered later."""
    names: dict[int, str] = {}
    for place, script in enumerate(schedule.scripts):
        if script.packet is not None:
            base = _HELD[type(script.packet[1])]
            number = sum(name.startswith(base) for name in names.values()) + 1
            names.setdefault(_holder(schedule, place), base if number == 1 else f"{base}_{number}")
    return names


def _held(schedule: Schedule, place: int, names: dict[int, str]) -> str:
    script, holder = schedule.scripts[place], _holder(schedule, place)
    step = schedule.scripts[holder].step
    assert script.packet is not None
    is_one = not isinstance(step, Elect) or len(step.voters) == 1
    return names[holder] if is_one else f"{names[holder]}.from_node({script.packet[1].sender})"


def _holder(schedule: Schedule, place: int) -> int:
    """Return the step that held back what arrives in the step at ``place``: the one that is noted, else the last that may have."""
    script = schedule.scripts[place]
    if script.held_in is not None:
        return script.held_in
    for earlier in range(place - 1, -1, -1):
        if _may_hold(schedule.scripts[earlier], script):
            return earlier
    raise ValueError(f"nothing before step {place + 1} holds what arrives in it")


def _may_hold(earlier: Script, late: Script) -> bool:
    assert late.packet is not None
    to, message = late.packet
    sender = message.sender - 1
    match earlier.step, message:
        case Elect(i, voters, _, True), VoteReply():
            return i == to and sender in voters
        case Append(i, j, "request late"), AppendEntries():
            return (i, j) == (sender, to)
        case Append(i, j, "reply late"), AppendReply():
            return (i, j) == (to, sender)
    return False


# ---- the student's own text


def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(dedent(source))
    except SyntaxError:
        return None


def _defines(source: str, names: Sequence[str]) -> bool:
    tree = _tree(source)
    known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} if tree is not None else set()
    return tree is not None and set(names) <= known


def _imports_of(source: str) -> Iterator[str]:
    """Yield the imports that a text needs for names which it takes for granted, as a notebook's cell does."""
    tree = _tree(source)
    free = _free_names(tree) if tree is not None else set()
    yield from (f"import raftedu as {name}" if name != "raftedu" else "import raftedu" for name in ("raft", "raftedu") if name in free)
    for module in (types, views):
        names = sorted(free & set(_public(module)))
        if names:
            yield f"from {module.__name__} import {', '.join(names)}"


def _free_names(tree: ast.Module) -> set[str]:
    """Return the names that a text uses and does not define."""
    used, own = set(), set(dir(builtins))
    for node in ast.walk(tree):
        match node:
            case ast.Name(name, ast.Load()):
                used.add(name)
            case ast.Name(name) | ast.FunctionDef(name) | ast.ClassDef(name) | ast.arg(name):
                own.add(name)
            case ast.alias(name, other):
                own.add(other or name)
    return used - own


def _public(module: ModuleType) -> list[str]:
    return list(module.__all__)
