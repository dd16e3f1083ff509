"""The commands of a script: one table, from which docs/simulation.md is made too. Each answers in a few words, or says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from raftedu.core.config import ConfigError
from raftedu.core.outputs import Answer
from raftedu.core.rules import RULES
from raftedu.core.types import SET, Durable, Entry, HardState, NodeId
from raftedu.sim.conditions import holds
from raftedu.sim.show import SHOWS
from raftedu.sim.simulation import Simulation
from raftedu.sim.stage import Asked, ScriptError, Stage, number, ranged, settings
from raftedu.sim.world import SimulationError

__all__ = ["COMMANDS", "Command", "perform"]


class Command(NamedTuple):
    """One row: how it is written, what it does, and the function that does it and returns the answer."""

    form: str
    meaning: str
    do: Callable[[Stage, list[str]], str]


def perform(stage: Stage, words: list[str]) -> str:
    """Carry out one command and return its answer."""
    name, *rest = words
    if name not in COMMANDS:
        raise ScriptError(f"there is no command {name!r}; there are: {', '.join(COMMANDS)}")
    try:
        return COMMANDS[name].do(stage, rest)
    except (SimulationError, ScriptError, ConfigError):
        raise
    except (ValueError, IndexError, TypeError) as error:
        raise ScriptError(f"{' '.join(words)!r} is not understood ({error}); write `{COMMANDS[name].form}`") from error


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _cluster(stage: Stage, words: list[str]) -> str:
    nodes, *rest = words
    given: dict[str, Any] = {name: _value(value) for name, value in settings(rest).items()}
    wrong = given.pop("rules", "")
    if wrong and wrong not in stage.rules:
        raise ScriptError(f"there are no rules {wrong!r}; there are: {', '.join(stage.rules) or 'none'}")
    first = given.pop("first", "")
    timeouts = {int(node): number(at) for node, _, at in (pair.partition(":") for pair in first.split(","))} if first else None
    stage.begin(Simulation(int(nodes), rules=RULES.but(**stage.rules[wrong]) if wrong else None, first_timeout=timeouts, **given))
    config = stage.sim.config
    return f"{nodes} node{'s' * (nodes != '1')}, {f'lease {config.lease:g} s' if config.has_lease else 'no lease'}"


def _run(stage: Stage, words: list[str]) -> str:
    if words[0] != "until":
        stage.sim.run(number(words[0]))
        return f"{stage.sim.now:.2f} s"
    condition, within = _within(words[1:], 60.0)
    stage.sim.run_until(lambda: holds(stage, condition)[0], within, what=" ".join(condition))
    return f"{stage.sim.now:.2f} s, {holds(stage, condition)[1]}"


def _within(words: list[str], usual: float) -> tuple[list[str], float]:
    return (words[:-2], number(words[-1])) if words[-2:-1] == ["within"] else (words, usual)


def _name(stage: Stage, words: list[str]) -> str:
    name, node = words
    stage.names[name] = stage.node(node)
    return f"{name} is node {stage.names[name]}"


def _each(do: Callable[[Simulation, NodeId], None], told: str) -> Callable[[Stage, list[str]], str]:
    def command(stage: Stage, words: list[str]) -> str:
        nodes = stage.nodes(words)
        for node in nodes:
            do(stage.sim, node)
        return f"{told}: {' '.join(map(str, nodes)) or 'none'}"

    return command


def _partition(stage: Stage, words: list[str]) -> str:
    groups = [part.split() for part in " ".join(words).split("|")]
    chosen = [stage.nodes(group) for group in groups]
    stage.sim.partition(*chosen)
    return " | ".join(" ".join(map(str, group)) for group in chosen)


def _heal(stage: Stage, words: list[str]) -> str:
    stage.sim.heal()
    return ""


def _on_link(do: Callable[[Simulation, NodeId, NodeId], object]) -> Callable[[Stage, list[str]], str]:
    def command(stage: Stage, words: list[str]) -> str:
        do(stage.sim, *stage.link(words))
        return ""

    return command


def _release(stage: Stage, words: list[str]) -> str:
    return f"{stage.sim.release(*(stage.link(words) if words else ()))} messages"


def _slow(stage: Stage, words: list[str]) -> str:
    node, delay = words
    stage.sim.slow(stage.node(node), *ranged(delay))
    return ""


def _weather(stage: Stage, words: list[str]) -> str:
    a, b = stage.link(words[:3]) if words[1:2] == [">"] else (None, None)
    changes = {name: number(value) for name, value in settings(words[0 if a is None else 3 :]).items()}
    stage.sim.weather(a, b, **changes)
    return ""


def _calm(stage: Stage, words: list[str]) -> str:
    stage.sim.calm()
    return ""


def _clock(stage: Stage, words: list[str]) -> str:
    node, *rest = words
    stage.sim.clock(stage.node(node), **{name: number(value) for name, value in settings(rest).items()})
    return ""


def _disk(stage: Stage, words: list[str]) -> str:
    node, delay = words
    stage.sim.disk(stage.node(node), None if delay == "stuck" else number(delay))
    return ""


def _timeout(stage: Stage, words: list[str]) -> str:
    *nodes, seconds = words
    for node in stage.nodes(nodes):
        stage.sim.fix_timeout(node, None if seconds == "random" else number(seconds))
    return ""


def _log(stage: Stage, words: list[str]) -> str:
    node, *terms = words
    found = _disk_of(stage, node)
    # The same entry for the same index and term, on whichever node.
    entries = [Entry(int(term), SET, f"k{i}", term, "past", 1000 * i + int(term)) for i, term in enumerate(terms, 1)]
    highest = max([entry.term for entry in entries], default=0)
    stage.sim.world.disks[stage.node(node)].tamper(HardState(highest, None, found.hard.promised), entries)
    return ""


def _forget(stage: Stage, words: list[str]) -> str:
    node, *what = words
    hard, entries, _ = _disk_of(stage, node)
    match what:
        case ["vote"]:
            hard = hard._replace(voted_for=None)
        case ["entries", count]:
            entries = entries[: max(0, len(entries) - int(count))]
        case _:
            raise ScriptError(f"nothing forgets {' '.join(what)!r}: say `vote` or `entries N`")
    stage.sim.world.disks[stage.node(node)].tamper(hard, entries)
    return ""


def _disk_of(stage: Stage, word: str) -> Durable:
    node = stage.node(word)
    if stage.sim.is_up(node):
        raise ScriptError(f"node {node} is running: crash it first, or it would not look at its disk")
    return stage.sim.world.disks[node].durable


def _operation(op: str) -> Callable[[Stage, list[str]], str]:
    def command(stage: Stage, words: list[str]) -> str:
        start, at = stage.sim.now, words.index("at") if "at" in words else None
        rest, within = _within(words, 60.0) if at is None else (words[:at], 0.0)
        key, value = _key_and_value(op, rest)
        if at is None:
            stage.last = stage.sim.request(op, key, value, deadline=within)
        else:
            stage.last = stage.sim.ask(stage.node(words[at + 1]), op, key, value)
        stage.history.append(Asked(op, key, value, start, stage.sim.now, stage.last))
        return _told(stage, op)

    return command


def _key_and_value(op: str, words: list[str]) -> tuple[str, str]:
    if len(words) != (2 if op == "SET" else 1):
        raise ScriptError(f"{op} needs a key{' and a value' if op == 'SET' else ''}, not {' '.join(words)!r}")
    return words[0], words[1] if op == "SET" else ""


def _told(stage: Stage, op: str) -> str:
    last = stage.last
    if last is None:
        return "no answer"
    where = f" at index {last.index}" if last.index else ""
    value = f" {last.value!r}" if op == "GET" and last.outcome == "success" else ""
    took = "" if isinstance(last, Answer) else f", after {last.took:.2f} s"
    return f"{last.outcome}{value}{where}{took}{f': {last.reason}' if last.reason else ''}"


def _begin(stage: Stage, words: list[str]) -> str:
    name, op, *rest = words
    rest, within = _within(rest, 60.0)
    key, value = _key_and_value(op.upper(), rest)
    operation = stage.operations[name] = stage.sim.begin(op.upper(), key, value, deadline=within)
    stage.history.append(Asked(op.upper(), key, value, stage.sim.now, math.inf, operation))
    return ""


def _outcomes(stage: Stage, words: list[str]) -> str:
    told: dict[str, int] = {}
    for operation in stage.operations.values():
        outcome = "open" if operation.reply is None else str(operation.reply.outcome)
        told[outcome] = told.get(outcome, 0) + 1
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(told.items())) or "none"


def _mark(stage: Stage, words: list[str]) -> str:
    stage.marked_at = stage.sim.now
    return f"{stage.sim.now:.2f} s"


def _show(stage: Stage, words: list[str]) -> str:
    if not words or any(word not in SHOWS for word in words):
        raise ScriptError(f"there is no show {' '.join(words)!r}; there are: {', '.join(SHOWS)}")
    return "\n".join(SHOWS[word](stage.sim) for word in words)


def _expect(stage: Stage, words: list[str]) -> str:
    fits, told = holds(stage, words)
    if not fits:
        raise ScriptError(f"expected {' '.join(words)}; {told}")
    return ""


def _maybe(stage: Stage, words: list[str]) -> str:
    chance, *command = words
    if stage.random.random() >= number(chance):
        return "not this time"
    return perform(stage, command)


def _try(stage: Stage, words: list[str]) -> str:
    try:
        return perform(stage, words)
    except (SimulationError, ScriptError):
        return "not possible"


def _refused(stage: Stage, words: list[str]) -> str:
    try:
        perform(stage, words)
    except (SimulationError, ConfigError) as error:
        return str(error)
    raise ScriptError(f"{' '.join(words)} was not refused")


def _table(*rows: Command) -> dict[str, Command]:
    return {row.form.split()[0]: row for row in rows}


COMMANDS = _table(
    Command(
        "cluster N [SETTING=VALUE...]", "Begin with N nodes; settings are those of `Simulation`, `first=NODE:SECONDS` and `rules=NAME`.",
        _cluster,
    ),
    Command("run SECONDS", "Let time pass. `run until CONDITION [within SECONDS]`: until it holds.", _run),
    Command("name WORD NODE", "Remember a node by a name; `leader`, `follower`, `random` and `fallen` choose one now.", _name),
    Command(
        "crash NODE...", "Cut the power: what is not on disk is lost. `all`, `up` and `down` mean several nodes, here and below.",
        _each(Simulation.crash, "down"),
    ),
    Command("restart NODE...", "Start again from disk.", _each(Simulation.restart, "up again")),
    Command("pause NODE...", "Let a node not run; its clock goes on.", _each(Simulation.pause, "paused")),
    Command("resume NODE...", "Let it go on.", _each(Simulation.resume, "resumed")),
    Command("campaign NODE", "Let its election timer run out now.", _each(Simulation.campaign, "campaigns")),
    Command("clock NODE [rate=R] [offset=S]", "Change its clock.", _clock),
    Command("disk NODE SECONDS", "How long an fsync takes; `stuck`: for ever.", _disk),
    Command("timeout NODE... SECONDS", "How long they wait for a leader from their next heartbeat on; `random`: as they should.", _timeout),
    Command("log NODE TERM...", "Put a log of entries of these terms on the disk of a node that is down.", _log),
    Command("forget NODE vote|entries N", "Take its vote, or its last entries, from the disk of a node that is down.", _forget),
    Command("partition NODE... | NODE...", "Cut all links between the groups; a node in two groups is a bridge.", _partition),
    Command("isolate NODE...", "Cut all links of these nodes, besides what is cut already.", _each(Simulation.isolate, "isolated")),
    Command("rejoin NODE...", "Mend all links of these nodes.", _each(Simulation.rejoin, "back")),
    Command("cut A > B", "Cut one direction of one link.", _on_link(Simulation.cut)),
    Command("mend A > B", "Mend it.", _on_link(Simulation.mend)),
    Command("heal", "Mend every link that is cut.", _heal),
    Command("hold A > B", "Hold back what A sends to B from now on.", _on_link(Simulation.hold)),
    Command("release [A > B]", "Let go what is held.", _release),
    Command("slow NODE LOW..HIGH", "Let all messages to a node take so many seconds.", _slow),
    Command(
        "weather [A > B] [NAME=VALUE...]", "Change `low`, `high`, `loss`, `duplicate`, `reorder`, `late` of all links, or one.", _weather,
    ),
    Command("calm", "Let all links be as they were at first, but for cuts.", _calm),
    Command(
        "set KEY VALUE [within SECONDS]", "A client's SET, until SUCCESS. `set KEY VALUE at NODE`: one attempt at that node.",
        _operation("SET"),
    ),
    Command("get KEY [within SECONDS]", "A client's GET, likewise.", _operation("GET")),
    Command("begin NAME set|get ... [within SECONDS]", "Begin an operation and do not wait for it.", _begin),
    Command("outcomes", "Tell how the operations begun so far stand.", _outcomes),
    Command("mark", "Let the conditions that count begin here.", _mark),
    Command("show THING...", f"Tell how something stands: {', '.join(SHOWS)}.", _show),
    Command("expect CONDITION", "Fail unless it holds; no rewriting accepts that.", _expect),
    Command("maybe CHANCE COMMAND", "Do it by chance.", _maybe),
    Command("try COMMAND", "Do it if it is possible.", _try),
    Command("refused COMMAND", "Fail unless it is refused, and tell why it is.", _refused),
)  # fmt: skip
"""Every command, by its first word. A script also has ``repeat N`` ... ``end`` around lines, in which ``{i}`` is the count."""
