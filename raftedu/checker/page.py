"""A report as HTML for a notebook: verdict, reason, one static table of all nodes after every step, and the same under the reference.

Everything that comes from a rule or a schedule is text, never markup. Knows how a report reads, and nothing of how it came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from raftedu.checker.invariants import INVARIANTS
from raftedu.checker.replay import Scene
from raftedu.checker.snapshot import Snapshot
from raftedu.core.types import SET, Role

if TYPE_CHECKING:
    from raftedu.checker.report import Report

__all__ = ["page"]

LEFT = "text-align:left"


def page(report: Report) -> str:
    """Return the report as a piece of HTML without scripts, right in dark and light."""
    if report.passed or not report.finished:
        remarks = "".join(f"<p>slower than need be: {escape(remark)}</p>" for remark in report.remarks)
        return f"<p><b>{escape(report.verdict)}</b></p><p>{escape(report.coverage.words)}</p>{remarks}"
    rule = INVARIANTS[report.invariant or ""]
    lines = [f"<b>{escape(report.verdict)}</b>", f"{escape(report.reason)}.", f"<i>{escape(f'{rule.name}: {rule.sentence}')}</i>"]
    lines += [escape(report.remark)] if report.remark else []
    tail = "".join(f"<p>{escape(line.strip())}</p>" for line in report.parting_lines())
    return f"<p>{'<br>'.join(lines)}</p>{_schedule(report)}{tail}{_beside(report)}"


def _schedule(report: Report) -> str:
    if report.scenes:
        return _table(report.scenes)
    return f"<ol>{''.join(f'<li>{escape(words)}</li>' for words in report.schedule)}</ol>" if report.schedule else ""


def _beside(report: Report) -> str:
    """Return the same steps under the reference, to be unfolded."""
    if not report.with_reference:
        return ""
    return f"<details><summary>The same steps with the reference rules</summary>{_table(report.with_reference)}</details>"


def _table(scenes: Sequence[Scene]) -> str:
    nodes = range(1, len(scenes[0].nodes) + 1)
    rows = ["<tr><th>step</th><th></th>" + "".join(f"<th>node {node}</th>" for node in nodes) + "</tr>"]
    first = sum(scene.before for scene in scenes)
    for number, scene in enumerate(scenes, 1):
        step = "before" if scene.before else str(number - first)
        broken = "".join(f"<br><b>{escape(f'{b.name}: {b.reason}')}</b>" for b in (scene.obligation, scene.outcome) if b is not None)
        words = escape(scene.words) if scene.possible else f"<s>{escape(scene.words)}</s> cannot happen"
        cells = "".join(f"<td>{escape(_cell(s, node in scene.holders))}</td>" for node, s in zip(nodes, scene.nodes, strict=True))
        rows.append(f"<tr><td>{step}</td><td style='{LEFT}'>{words}{broken}</td>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _cell(s: Snapshot, holds: bool) -> str:
    """Return a node in a few words: role, term, vote, log with the commit index as a bar, what is left of wait, lease and promise."""
    log = [f"{e.term}{':' + e.value if e.op == SET else ''}" for e in s.log]
    words = [f"{s.role} t{s.term}", f"vote {s.voted_for if s.voted_for is not None else '-'}"]
    words.append(f"log [{' '.join([*log[: s.commit], '|', *log[s.commit :]])}]")
    if s.role is Role.LEADER and s.wait > 0:
        words.append(f"waits {s.wait:.0f} s")
    if holds and s.lease is not None:
        words.append(f"lease {s.lease:.0f} s")
    if s.promise > 0:
        words.append(f"promised {s.promise:.0f} s")
    return ", ".join(words)
