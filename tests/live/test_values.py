"""Keys and values of every kind, and the dump as others read it."""

from __future__ import annotations

import shutil
import subprocess

import pandas as pd
import pytest

from raftedu import RequestFailed, read_dump
from raftedu.events.table import EVENTS, is_course
from tests.live.helpers import logs_txt, wait_until_they_agree

pytestmark = pytest.mark.live

MOST = 2**20
TEXTS = {
    "blanks": "  two  words  ",
    "tabs": "a\tb\t",
    "newlines": "a\nb\r\nc\u2028d\u0085",
    "quotes": '"a" \'b\' "',
    "backslashes": "\\n \\\\ \\u0041",
    "emoji": "🦀👩‍👩‍👧 ñ é́",
    "right to left": "\u202eabc\u202c",
    "controls": "\x00\x01\x1b[31m\x7f",
    "empty": "",
    "a word of the log": "NO-OP",
    "markup": "<script>alert(1)</script>&amp;",
    "long": "ä" * (MOST // 2),
}


def test_all_kinds_of_keys_and_values_survive_a_round_trip_and_a_restart(make, tmp_path):
    cluster = _unhurried(make(3, dir=tmp_path / "run"))
    for name, text in TEXTS.items():
        assert cluster.set(text, f"value of {name}").outcome == "success"
        assert cluster.set(name, text).outcome == "success"
    _check(cluster)
    cluster.stop()
    again = _unhurried(make(3, dir=tmp_path / "run"))
    _check(again)
    wait_until_they_agree(again)
    shown = again._repr_html_()
    again.stop()
    rows = 0
    asked = [(text, f"value of {name}") for name, text in TEXTS.items()] + list(TEXTS.items())
    for node in again.nodes:
        assert sorted((e.key, e.value) for e in logs_txt(again, node) if e.op == "SET") == sorted(asked)
        frame = pd.read_csv(again.folder / f"logs_node_{node}" / "dump.txt", sep="\t")
        assert list(frame.columns) == ["time", "seq", "node", "term", "role", "event", "peer", "index", "sentence", "facts"]
        assert list(frame["seq"]) == list(range(1, len(frame) + 1))
        assert set(frame["event"]) <= set(EVENTS)
        rows += len(frame)
    trace = again.trace
    assert len(trace) == rows
    assert "<script>" not in shown + trace._repr_html_()


def _unhurried(cluster):
    """Once there is a leader, give it time: a mebibyte is written into dumps eight times over."""
    cluster.wait_for_leader(lease=True)
    cluster.pace = 0.5
    return cluster


def _check(cluster) -> None:
    for name, text in TEXTS.items():
        assert cluster.get(text) == f"value of {name}", name
        assert cluster.get(name) == text, name
    assert cluster.get("there is no such key") == ""


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("k", "x" * (MOST + 1), "value has 1048577 bytes"),
        ("x" * (MOST + 1), "v", "key has 1048577 bytes"),
        ("k", "é" * MOST, "value has 2097152 bytes"),
    ],
)  # fmt: skip
def test_what_is_too_long_is_refused_before_anything_is_appended(make, key, value, words):
    cluster = make(3)
    cluster.set("k", "before")
    wait_until_they_agree(cluster)
    before = cluster.log(1)
    with pytest.raises(RequestFailed) as error:
        cluster.set(key, value)
    assert words in str(error.value) and "max_bytes=1048576" in str(error.value) and len(str(error.value)) < 500
    assert error.value.reply.outcome == "fail" and error.value.reply.attempts == 1
    assert cluster.get("k") == "before"
    assert [words for _, _, words in cluster.log(1) if words.startswith("SET")] == [
        words for _, _, words in before if words.startswith("SET")
    ]


@pytest.mark.parametrize(("key", "value", "what"), [("\ud800", "v", "key"), ("k", "a\udfffb", "value")])
def test_lone_surrogates_are_refused_clearly(make, key, value, what):
    cluster = make(3)
    with pytest.raises(RequestFailed) as error:
        cluster.set(key, value)
    str(error.value).encode()  # the message itself can be shown
    assert f"the {what} is not valid text" in str(error.value)
    assert error.value.reply.outcome == "fail"
    assert cluster.set("k", "fine").outcome == "success"
    assert not cluster.errors
    for node in cluster.nodes:
        pd.read_csv(cluster.folder / f"logs_node_{node}" / "dump.txt", sep="\t")


@pytest.mark.skipif(shutil.which("cut") is None, reason="there is no cut here")
def test_cut_gives_the_courses_sentences_word_for_word(make):
    cluster = make(3)
    cluster.set("x", "1")
    cluster.get("x")
    old = cluster.wait_for_leader(lease=True)
    cluster.crash(old)
    cluster.set("y", "2")
    cluster.restart(old)
    wait_until_they_agree(cluster)
    new = cluster.wait_for_leader(lease=True)
    cluster.stop()
    lines: dict[int, list[str]] = {}
    for node in cluster.nodes:
        done = subprocess.run(["cut", "-f9", cluster.folder / f"logs_node_{node}" / "dump.txt"], capture_output=True, text=True, check=True)
        lines[node] = done.stdout.splitlines()
    term = {node: next(iter(frame["term"])) for node, frame in cluster.trace.leaders().groupby("node")}
    assert f"Node {old} became the leader for term {term[old]}." in lines[old]
    assert f"Node {old} election timer timed out, Starting election." in lines[old]
    assert f"Leader {old} sending heartbeat & Renewing Lease" in lines[old]
    assert f"Node {old} (leader) received an SET x 1 request." in lines[old]
    assert f"Node {old} (leader) received an GET x request." in lines[old] or old != cluster.trace.leaders()["node"].iloc[0]
    assert any(f"Node {node} (leader) committed the entry SET x 1 to the state machine." in lines[node] for node in lines)
    assert any(f"Node {node} (follower) committed the entry SET x 1 to the state machine." in lines[node] for node in lines)
    assert any(f"Node {node} (leader) committed the entry NO-OP to the state machine." in lines[node] for node in lines)
    assert any(f"Node {node} accepted AppendEntries RPC from {new}." in lines[node] for node in lines if node != new)
    assert any(f"Vote granted for Node {new} in term {term[new]}." in lines[node] for node in lines)
    assert any("Error occurred while sending RPC to Node" in line for node in lines for line in lines[node])
    frame = cluster.trace.frame
    assert frame["event"].isin([event.name for event in EVENTS.values() if event.course]).any()
    assert callable(is_course)


def test_editing_a_line_of_the_dump_changes_what_is_seen(make):
    cluster = make(3)
    cluster.set("x", "1")
    leader = cluster.wait_for_leader(lease=True)
    cluster.stop()
    path = cluster.folder / f"logs_node_{leader}" / "dump.txt"
    text = path.read_text()
    before = read_dump(cluster.folder)
    kept = [line for line in text.splitlines(keepends=True) if "\tlease_acquired\t" not in line and "\tlease_renewed\t" not in line]
    path.write_text("".join(kept))
    without = read_dump(cluster.folder)
    assert leader in set(before.leases()["node"]) and leader not in set(without.leases()["node"])
    path.write_text(text.replace("SET x 1", "SET x 2"))
    assert "SET x 2" in set(read_dump(cluster.folder).commits()["op"]) and "SET x 2" not in set(before.commits()["op"])
    path.write_text(text)
    pd.testing.assert_frame_equal(read_dump(cluster.folder).frame, before.frame)
