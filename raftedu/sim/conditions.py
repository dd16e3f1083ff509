"""The conditions of a script, for ``expect`` and ``run until``: one table, from which docs/simulation.md is made too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from raftedu.core.node import Status
from raftedu.core.outputs import Outcome
from raftedu.core.types import SET, NodeId, Role
from raftedu.sim.linear import Call, disorder
from raftedu.sim.safety import broken
from raftedu.sim.stage import COMPARISONS, Asked, ScriptError, Stage, number

__all__ = ["CONDITIONS", "Condition", "holds"]

A_MOMENT = 1e-9
"""Seconds: shorter than anything that happens in a simulation."""


class Condition(NamedTuple):
    """One row: how it is written, what it means, and a function that says whether it holds, and in words what there is instead."""

    form: str
    meaning: str
    look: Callable[[Stage, list[str]], tuple[bool, str]]


def holds(stage: Stage, words: list[str]) -> tuple[bool, str]:
    """Return whether the condition in ``words`` holds, and in words what there is."""
    if not words or words[0] not in CONDITIONS:
        raise ScriptError(f"there is no condition {' '.join(words)!r}; there are: {', '.join(CONDITIONS)}")
    return CONDITIONS[words[0]].look(stage, words[1:])


def _up(stage: Stage) -> list[Status]:
    return [status for status in stage.sim.status() if status is not None]


def _status(stage: Stage, word: str) -> Status:
    node = stage.node(word)
    found = stage.sim.status()[stage.sim.nodes.index(node)]
    if found is None:
        raise ScriptError(f"node {node} is down")
    return found


def _leaders(stage: Stage) -> list[NodeId]:
    return [status.node for status in _up(stage) if status.role == Role.LEADER]


def _list(nodes: list[NodeId], what: str) -> str:
    return f"{what}: {' '.join(map(str, nodes)) or 'none'}"


def _leader(stage: Stage, words: list[str]) -> tuple[bool, str]:
    leaders = _leaders(stage)
    told = _list(leaders, "leaders")
    match words:
        case []:
            return bool(leaders), told
        case ["not", *others]:
            return any(node not in stage.nodes(others) for node in leaders), told
        case _:
            return all(node in leaders for node in stage.nodes(words)), told


def _no(stage: Stage, words: list[str]) -> tuple[bool, str]:
    if words not in (["leader"], ["lease"]):
        raise ScriptError("say `no leader` or `no lease`")
    nodes = _leaders(stage) if words == ["leader"] else _holders(stage)
    return not nodes, _list(nodes, f"{words[0]}s")


def _holders(stage: Stage) -> list[NodeId]:
    return [status.node for status in _up(stage) if status.lease_left > 0]


def _lease(stage: Stage, words: list[str]) -> tuple[bool, str]:
    holders = _holders(stage)
    return (all(node in holders for node in stage.nodes(words)) if words else bool(holders)), _list(holders, "leases")


def _waits(stage: Stage, words: list[str]) -> tuple[bool, str]:
    waiting = [status.node for status in _up(stage) if status.wait_left > 0]
    return (all(node in waiting for node in stage.nodes(words)) if words else bool(waiting)), _list(waiting, "waiting")


def _role(stage: Stage, words: list[str]) -> tuple[bool, str]:
    found = _status(stage, words[0])
    return [found.role.value] == words[1:], f"node {found.node} is a {found.role}"


def _compare(value: float, words: list[str], what: str) -> tuple[bool, str]:
    if len(words) != 2 or words[0] not in COMPARISONS:
        raise ScriptError(f"{' '.join(words)!r} compares nothing: write one of {' '.join(COMPARISONS)} and a number")
    return COMPARISONS[words[0]](value, number(words[1])), f"{what}: {value:.2f}".removesuffix(".00")


def _term(stage: Stage, words: list[str]) -> tuple[bool, str]:
    return _compare(max((status.term for status in _up(stage)), default=0), words, "highest term")


def _commit(stage: Stage, words: list[str]) -> tuple[bool, str]:
    *nodes, comparison, wanted = words
    chosen = stage.nodes(nodes or ["up"])
    values = [stage.sim.world.lives[node].core.state.commit_index for node in chosen]
    fit = all(_compare(value, [comparison, wanted], "")[0] for value in values)
    return fit, f"commit index: {', '.join(f'{node} has {value}' for node, value in zip(chosen, values, strict=True))}"


def _log(stage: Stage, words: list[str]) -> tuple[bool, str]:
    node = stage.node(words[0])
    terms = [str(term) for _, term, _ in stage.sim.log(node)]
    return terms == words[1:], f"terms in the log of node {node}: {' '.join(terms) or 'none'}"


def _logs(stage: Stage, words: list[str]) -> tuple[bool, str]:
    if words != ["equal"]:
        raise ScriptError("say `logs equal`")
    logs = {node: stage.sim.world.lives[node].core.state.log for node in stage.nodes(["up"])}
    told = f"entries in the logs: {', '.join(f'{node} has {log.last_index}' for node, log in logs.items())}"
    if len({log.last_index for log in logs.values()}) > 1:
        return False, told
    return len({log.between(1, log.last_index) for log in logs.values()}) <= 1, told


def _value(stage: Stage, words: list[str]) -> tuple[bool, str]:
    key, value, *nodes = words
    chosen = stage.nodes(nodes or ["up"])
    values = [stage.sim.world.lives[node].core.state.kv.data.get(key, "") for node in chosen]
    told = ", ".join(f"{node} has {found!r}" for node, found in zip(chosen, values, strict=True))
    return all(found == value for found in values), f"{key}: {told}"


def _outcome(wanted: str) -> Callable[[Stage, list[str]], tuple[bool, str]]:
    def look(stage: Stage, words: list[str]) -> tuple[bool, str]:
        for name in words:
            if name not in stage.operations:
                raise ScriptError(f"there is no operation {name!r}; there are: {', '.join(stage.operations) or 'none'}")
        replies = {name: stage.operations[name].reply for name in words} if words else {"the last one": stage.last}
        told = {name: "no answer" if reply is None else str(reply.outcome) for name, reply in replies.items()}
        return all(outcome == wanted for outcome in told.values()), ", ".join(f"{name}: {outcome}" for name, outcome in told.items())

    return look


def _silence(stage: Stage, words: list[str]) -> tuple[bool, str]:
    return stage.last is None, "no answer" if stage.last is None else f"the last one: {stage.last.outcome}"


def _answer(stage: Stage, words: list[str]) -> tuple[bool, str]:
    value = stage.last.value if stage.last is not None else ""
    return value == " ".join(words), f"the answer is {value!r}"


def _index(stage: Stage, words: list[str]) -> tuple[bool, str]:
    return _compare(stage.last.index if stage.last is not None else 0, words, "index")


def _took(stage: Stage, words: list[str]) -> tuple[bool, str]:
    return _compare(getattr(stage.last, "took", 0.0), words, "took")


def _time(stage: Stage, words: list[str]) -> tuple[bool, str]:
    return _compare(stage.sim.now - stage.marked_at, words, "seconds since the mark")


def _counted(event: str, what: str) -> Callable[[Stage, list[str]], tuple[bool, str]]:
    def look(stage: Stage, words: list[str]) -> tuple[bool, str]:
        rows = [row for dump in stage.sim.world.dumps.values() for row in dump.rows]
        return _compare(sum(row.say.event == event and row.time >= stage.marked_at for row in rows), words, f"{what} since the mark")

    return look


def _entries(stage: Stage, words: list[str]) -> tuple[bool, str]:
    rows = [row for dump in stage.sim.world.dumps.values() for row in dump.rows]
    sent = sum(row.say.facts.get("n_entries", 0) for row in rows if row.say.event == "sent" and row.time >= stage.marked_at)
    return _compare(sent, words, "entries sent since the mark")


def _refusals(stage: Stage, words: list[str]) -> tuple[bool, str]:
    node = stage.node(words[0])
    rows = stage.sim.world.dumps[node].rows
    refused = sum(row.say.event == "append_rejected" and row.time >= stage.marked_at for row in rows)
    return _compare(refused, words[1:], f"refusals of node {node} since the mark")


def _voters(stage: Stage, words: list[str]) -> tuple[bool, str]:
    said = [(row.time, node, row.say) for node, dump in stage.sim.world.dumps.items() for row in dump.rows]
    elected = [(time, node, say.term) for time, node, say in said if say.event == "leader_elected"]
    if not elected:
        return False, "nobody was elected yet"
    _, leader, term = max(elected)
    # Those too whose vote came when the election was won already.
    votes = [node for _, node, say in said if say.event == "vote_granted" and say.peer == leader and say.facts["for_term"] == term]
    voters = sorted({leader, *votes})
    return voters == sorted(stage.nodes(words)), f"voters of node {leader} in term {term}: {' '.join(map(str, voters))}"


def _slowest(stage: Stage, words: list[str]) -> tuple[bool, str]:
    took = [asked.ended - asked.start for asked in stage.history if asked.start >= stage.marked_at and asked.ended < math.inf]
    return _compare(max(took, default=0.0), words, "the slowest operation since the mark")


def _linearizable(stage: Stage, words: list[str]) -> tuple[bool, str]:
    found = disorder(call for asked in stage.history for call in _call(asked))
    return not found, found or "one order of all operations explains what was read"


def _call(asked: Asked) -> Iterator[Call]:
    # Virtual time stands still between two commands: what is asked for at the moment of an answer is asked for after it.
    start = asked.start + A_MOMENT
    outcome = None if asked.reply is None else asked.reply.outcome
    if outcome == Outcome.SUCCESS:
        read = asked.reply.value if asked.op != SET and asked.reply is not None else asked.value
        yield Call(asked.op, asked.key, read, start, asked.ended)
    elif asked.op == SET and outcome != Outcome.FAIL:
        yield Call(SET, asked.key, asked.value, start, math.inf)


def _opposite(stage: Stage, words: list[str]) -> tuple[bool, str]:
    found, told = holds(stage, words)
    return not found, told


def _wait(stage: Stage, words: list[str]) -> tuple[bool, str]:
    waits = stage.sim.trace.waits()
    lengths = waits.loc[waits["start"] >= stage.marked_at, "length"]
    return _compare(float(lengths.max()) if len(lengths) else 0.0, words, "longest wait since the mark")


def _done(stage: Stage, words: list[str]) -> tuple[bool, str]:
    open_ = [name for name, operation in stage.operations.items() if operation.reply is None]
    return not open_, f"still open: {' '.join(open_) or 'none'}"


def _safe(stage: Stage, words: list[str]) -> tuple[bool, str]:
    found = broken(stage.sim)
    return not found, "; ".join(found.values()) or "nothing is broken"


def _broken(stage: Stage, words: list[str]) -> tuple[bool, str]:
    found = broken(stage.sim)
    return set(found) == set(words), "; ".join(f"{name}: {told}" for name, told in found.items()) or "nothing is broken"


def _table(*rows: Condition) -> dict[str, Condition]:
    return {row.form.split()[0]: row for row in rows}


CONDITIONS = _table(
    Condition("leader [NODE...]", "There is a leader; these nodes lead. `leader not NODE`: another one does.", _leader),
    Condition("no leader|lease", "Nobody leads; nobody holds a valid lease.", _no),
    Condition("lease [NODE...]", "There is a valid lease; these nodes hold one.", _lease),
    Condition("waiting [NODE...]", "A new leader waits for an older lease; these do.", _waits),
    Condition("role NODE ROLE", "The node is a follower, candidate or leader.", _role),
    Condition("term < N", "How the highest term compares; also `=`, `!=`, `<=`, `>`, `>=`.", _term),
    Condition("commit [NODE...] < N", "How the commit index of these nodes (all that are up) compares.", _commit),
    Condition("log NODE TERM...", "The terms of the entries in the node's log.", _log),
    Condition("logs equal", "All nodes that are up have the same log.", _logs),
    Condition("value KEY VALUE [NODE...]", "The state machines of these nodes (all that are up) hold that value.", _value),
    Condition("success [NAME...]", "How the last operation, or those of these names, ended: done,", _outcome("success")),
    Condition("fail [NAME...]", "... surely never done,", _outcome("fail")),
    Condition("unknown [NAME...]", "... not to be known.", _outcome("unknown")),
    Condition("silence", "The last operation, asked at one node, got no answer.", _silence),
    Condition("answer VALUE", "What the last GET read.", _answer),
    Condition("index < N", "How the log index of the last SET compares.", _index),
    Condition("took < SECONDS", "How long the last operation took.", _took),
    Condition("time < SECONDS", "How much time has passed since `mark`.", _time),
    Condition("messages < N", "How many messages were sent since `mark`.", _counted("sent", "messages sent")),
    Condition("entries < N", "How many entries were sent since `mark`, each counted as often as it was sent.", _entries),
    Condition("refusals NODE < N", "How many AppendEntries a node has refused since `mark`.", _refusals),
    Condition("elections < N", "How many candidacies there were since `mark`.", _counted("election_started", "elections started")),
    Condition("elected < N", "How often a leader was elected since `mark`.", _counted("leader_elected", "leaders elected")),
    Condition("stepdowns < N", "How often a leader stepped down since `mark`.", _counted("stepped_down", "leaders that stepped down")),
    Condition("reads < N", "How many reads were served since `mark`.", _counted("read_served", "reads served")),
    Condition("longest < SECONDS", "The longest wait of a new leader for an older lease since `mark`.", _wait),
    Condition("slowest < SECONDS", "The longest time that an operation begun since `mark` took to be answered.", _slowest),
    Condition("voters NODE...", "Exactly these voted for the last leader that was elected, in its term.", _voters),
    Condition("done", "Every operation begun by `begin` has ended.", _done),
    Condition(
        "safe", "Nothing is broken: one leader a term, leases disjoint, commits and logs agree, no acknowledged write is lost.", _safe
    ),
    Condition("linearizable", "One order of all operations of this script explains what every GET has read.", _linearizable),
    Condition("not CONDITION", "The condition does not hold.", _opposite),
    Condition("broken NAME...", "Exactly these are broken, of: elections, leases, commits, logs, writes, nodes.", _broken),
)
"""Every condition, by its first word."""
