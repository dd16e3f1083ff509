"""`Trace` and how it is read: dump.txt is the only source, damage is named, and nothing in a dump is ever markup."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import raftedu.data
import raftedu.trace.trace as trace_module
from raftedu.core.outputs import Say
from raftedu.core.types import Role
from raftedu.data import data_path
from raftedu.events import COLUMNS, DumpError, DumpWriter, MemoryDump
from raftedu.events.reader import HEADER
from raftedu.trace import load_trace, read_dump, trace_names, trace_of
from tests.story import NODES, tell_story, write_story


@pytest.fixture
def run(tmp_path):
    return write_story(tmp_path / "run")


@pytest.fixture
def story(run):
    return read_dump(run)


def test_the_frame_is_every_line_by_time_node_and_seq(run, story):
    frame = story.frame
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == len(story) == len(tell_story())
    assert frame[["time", "node", "seq"]].apply(tuple, axis=1).is_monotonic_increasing
    assert [str(frame[column].dtype) for column in ("time", "seq", "node", "term", "peer", "index")] == [
        "float64",
        "int64",
        "int64",
        "int64",
        "Int64",
        "Int64",
    ]
    lines = (run / "logs_node_3" / "dump.txt").read_text(encoding="utf-8").splitlines()[1:]
    own = frame[frame["node"] == 3].astype({"seq": str})
    assert list(own["seq"] + "\t" + own["sentence"] + "\t" + own["facts"]) == [
        "\t".join(line.split("\t")[k] for k in (1, 8, 9)) for line in lines
    ]


def test_times_are_the_floats_that_were_written(story):
    assert set(story.frame["time"]) == {time for time, _, _ in tell_story()}


def test_what_a_trace_knows_of_itself(story):
    assert (story.nodes, story.start, story.end, story.clock) == ([1, 2, 3, 4, 5], 0.0, 21.0, "time")
    assert repr(story) == f"Trace: {len(story)} events of 5 nodes, 0.00 s to 21.00 s"


def test_a_frame_may_be_changed_without_changing_the_trace(story):
    frame, leases = story.frame, story.leases()
    frame["term"] = 99
    leases["end"] = 99.0
    assert story.frame["term"].max() == 2
    assert story.leases()["end"].max() == 21.0


def test_a_trace_takes_no_new_attributes(story):
    with pytest.raises(AttributeError):
        story.leases = None


def test_editing_a_line_changes_the_frames(run):
    path = run / "logs_node_4" / "dump.txt"
    text = path.read_text(encoding="utf-8")
    assert '"expiry":25.65' in text
    path.write_text(text.replace('"expiry":28.65', '"expiry":20.5'), encoding="utf-8")
    lease = read_dump(run).leases().iloc[1]
    assert (lease["end"], lease["expiry"], lease["why"]) == (20.5, 20.5, "expired")
    path.write_text("".join(line for line in text.splitlines(keepends=True) if "\tlease_" not in line), encoding="utf-8")
    assert list(read_dump(run).leases()["node"]) == [2]


def test_the_same_from_a_folder_a_pattern_and_files_in_any_order(run, story):
    files = [run / f"logs_node_{node}" / "dump.txt" for node in reversed(NODES)]
    for paths in (str(run), str(run / "logs_node_*"), files):
        pd.testing.assert_frame_equal(read_dump(paths).frame, story.frame)
    assert read_dump(run / "logs_node_2").nodes == [2]


def test_a_trace_from_memory_is_the_trace_of_the_files(story):
    dumps = {node: MemoryDump(node) for node in NODES}
    for time, node, say in tell_story():
        dumps[node].write(time, say)
    pd.testing.assert_frame_equal(trace_of(dumps.values()).frame, story.frame)
    assert len(trace_of([])) == 0


# ---- only


def test_only_some_nodes_events_and_terms(story):
    assert set(story.only(node=2).frame["node"]) == {2}
    assert story.only(node=[2, 4]).nodes == [2, 4]
    assert set(story.only(event=["sent", "received"], term=2).frame[["event", "term"]].apply(tuple, axis=1)) == {
        ("sent", 2),
        ("received", 2),
    }
    assert list(story.only(node=4).leases()["node"]) == [4]
    assert list(story.only(term=1).leaders()["node"]) == [2]
    assert story.only(node=2).end == 21.0


def test_between_is_a_window_that_shows_what_began_before_it(story):
    part = story.only(between=(8.0, 9.0))
    assert (part.start, part.end) == (8.0, 9.0)
    assert part.frame["time"].between(8.0, 9.0).all()
    assert len(part) == len(part.frame) > 0
    lease = part.leases().iloc[0]
    assert (lease["start"], lease["end"], lease["why"]) == (5.04, 9.0, "open")
    assert list(story.only(between=(16.0, 17.0)).leases()["node"]) == []
    assert list(story.only(between=(12.0, 19.0)).commits()["index"].unique()) == [3]


def test_the_facts_of_an_event_as_columns(story):
    facts = story.facts("lease_wait_started")
    assert list(facts.columns) == ["time", "node", "term", "peer", "index", "wait_until", "because", "now"]
    assert facts.iloc[0]["because"] == [[4, 2.38], [3, 2.4], [5, 2.39]]
    assert list(story.facts("paused").columns) == ["time", "node", "term", "peer", "index"]


# ---- what can be wrong


def test_nothing_there_is_one_clear_line(tmp_path):
    with pytest.raises(DumpError, match="there is no such file or folder; give the folder of a run"):
        read_dump(tmp_path / "nowhere")
    (tmp_path / "dump.txt").write_bytes(b"")
    with pytest.raises(DumpError, match="dump.txt: the file is empty: nothing was ever written"):
        read_dump(tmp_path)


def test_a_run_in_which_nothing_happened_yet_is_an_empty_trace(tmp_path):
    DumpWriter(tmp_path / "dump.txt", 1).close()
    trace = read_dump(tmp_path)
    assert (len(trace), trace.nodes, trace.start, trace.end, repr(trace)) == (0, [], 0.0, 0.0, "Trace: no events")
    assert trace._repr_html_() == "<p>Trace: no events</p>"


def test_a_torn_last_line_is_only_warned_of(run, story):
    path = run / "logs_node_3" / "dump.txt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="the last line is torn"):
        assert len(read_dump(run)) == len(story) - 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\t{", "\t{}\t{"), ("\tfollower\t", "\t"), ("0.000000", "zero"), ("0.000000", "1e999"), ("\t1\t", "\t1.5\t"), ("\t3\t", "\t-3\t"),
        ("Node 3", "\rNode 3"), ("Node 3", "\nNode 3"), ("\t{", "\t"), ("\t\t\t", "\tx\t\t"), ("\t\t\t", "\t\t1.5\t"),
    ],
)  # fmt: skip
def test_a_damaged_line_is_named(run, old, new):
    path = run / "logs_node_3" / "dump.txt"
    first, line, rest = path.read_text(encoding="utf-8").split("\n", 2)
    assert old in line
    path.write_text("\n".join([first, line.replace(old, new, 1), rest]), encoding="utf-8", newline="")
    with pytest.raises(DumpError) as caught:
        read_dump(run)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_facts_that_are_no_json_are_named_when_they_are_needed(run):
    path = run / "logs_node_2" / "dump.txt"
    text = path.read_text(encoding="utf-8").replace('{"votes"', "{votes", 1)
    path.write_text(text, encoding="utf-8")
    line = 1 + next(k for k, row in enumerate(text.splitlines()) if "{votes" in row)
    trace = read_dump(run)
    assert len(trace.leases()) == 2
    with pytest.raises(DumpError, match=f"dump.txt, line {line}: the facts are not JSON"):
        trace.leaders()


def test_two_runs_are_not_read_as_one(run):
    shutil.copytree(run, run.parent / "other")
    with pytest.raises(DumpError, match="both tell of node 1; read one run at a time"):
        read_dump([run, run.parent / "other"])


def test_time_that_falls_back_is_told(tmp_path):
    with DumpWriter(tmp_path / "dump.txt", 1) as dump:
        for time in (1.0, 5.0, 2.0):
            dump.write(time, Say("paused", 0, Role.FOLLOWER, None, None, {}))
    with pytest.warns(UserWarning, match="line 4: time falls back here: several runs"):
        assert len(read_dump(tmp_path)) == 3


def test_a_file_that_is_not_ours_is_refused(tmp_path):
    (tmp_path / "dump.txt").write_text("Node 1 became the leader for term 1.\n")
    with pytest.raises(DumpError, match="line 1: the first line is not the header"):
        read_dump(tmp_path)


HOSTILE = '"' + '<script>alert(1)</script>\x1b[2J=HYPERLINK("x")\u202e'


def test_nothing_from_a_dump_becomes_markup_or_moves_the_cursor(tmp_path):
    line = f"1.0\t1\t1\t1\tleader\tleader_elected\t\t\t{HOSTILE}\t{{}}\n"
    end = '2.0\t2\t1\t1\tleader\tstepped_down\t\t\t=1+1\t{"why":"<b>\\u001b[2J"}\n'
    (tmp_path / "dump.txt").write_bytes(HEADER + (line + end).encode())
    trace = read_dump(tmp_path)
    assert list(trace.frame["sentence"]) == [HOSTILE, "=1+1"]
    html = trace._repr_html_() + repr(trace)
    assert "<script" not in html and "\x1b" not in html
    assert "<td>&lt;b&gt;\\x1b[2J</td>" in html


def test_many_leaders_are_shortened_in_the_display(tmp_path):
    dump = MemoryDump(1)
    for term in range(1, 16):
        dump.write(float(term), Say("leader_elected", term, Role.LEADER, None, None, {"wait_until": 0.0}))
        dump.write(term + 0.6, Say("stepped_down", term, Role.LEADER, None, None, {"why": "w"}))
    html = trace_of([dump])._repr_html_()
    assert html.count("<tr>") == 13
    assert "and 3 more" in html


# ---- recorded runs


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """A folder of recorded runs with one in it."""
    write_story(tmp_path / "traces" / "handover")
    (tmp_path / "traces" / "empty").mkdir()
    monkeypatch.setattr(trace_module, "data_path", lambda kind: tmp_path / kind)
    return tmp_path / "traces"


def test_a_recorded_run_is_loaded_by_its_name(traces):
    assert trace_names() == ["handover"]
    assert load_trace("handover").nodes == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["hand", "empty", "../traces/handover", ""])
def test_an_unknown_name_lists_those_there_are(traces, name):
    with pytest.raises(DumpError, match="there is no recorded trace .*; there are: handover$"):
        load_trace(name)


def test_packaged_data_is_found_before_the_source_tree(tmp_path, monkeypatch):
    monkeypatch.setattr(raftedu.data, "_PACKAGE", tmp_path / "raftedu")
    with pytest.raises(FileNotFoundError, match="installed without its traces .*; install it anew"):
        data_path("traces")
    (tmp_path / "traces").mkdir()
    assert data_path("traces") == tmp_path / "traces"
    (tmp_path / "raftedu" / "_data" / "traces").mkdir(parents=True)
    assert data_path("traces") == tmp_path / "raftedu" / "_data" / "traces"


def test_the_package_itself_knows_where_it_is():
    assert Path(raftedu.data.__file__).parent == raftedu.data._PACKAGE


def test_processes_that_began_at_different_moments_are_told_on_one_clock(tmp_path: Path) -> None:
    for node, zero in ((1, 1000.0), (2, 1003.0)):
        with DumpWriter(tmp_path / f"logs_node_{node}" / "dump.txt", node) as dump:
            facts = {"incarnation": 1, "utc_zero": zero, "pace": 0.5, "config": {}, "restored": {"last_index": 0}, "now": 0.0}
            dump.write(0.0, Say("started", 0, Role.FOLLOWER, None, None, facts))
            dump.write(1.0, Say("lease_promised", 1, Role.FOLLOWER, 3, None, {"old_until": 0.0, "until": 9.0, "msg": "", "now": 1.0}))
    trace = read_dump(tmp_path)
    assert trace.frame.query("event == 'started'")["time"].tolist() == [0.0, 6.0]
    assert trace.promises().set_index("node")["until"].to_dict() == {1: 9.0, 2: 15.0}
