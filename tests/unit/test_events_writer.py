"""Writing dump.txt: one line an event whatever stands in it, goes on after a restart, cuts a torn line, leaves foreign files alone."""

from __future__ import annotations

import errno
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftedu.core.outputs import Say
from raftedu.core.types import Entry, Role
from raftedu.events import COLUMNS, DumpError, DumpWriter, MemoryDump
from raftedu.events.reader import HEADER, parse_line, read_lines
from raftedu.events.table import visible
from raftedu.events.writer import facts_text

WEIRD = [
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\x00",
    '"',
    '"a"',
    "'",
    "\\",
    "a\tb",
    "NA",
    "None",
    "null",
    "=1+1",
    "é👩‍🎓",
    "\x85\u2028\u2029\x7f\x9b",
    "\u202e",
    "\ufeff",
]


def set_request(key: str, value: str) -> Say:
    facts = {"op_id": "a", "client": "c", "request": 1, "op": "SET", "key": key, "value": value}
    return Say("client_request", 3, Role.LEADER, None, None, facts)


def heartbeat(round_: int = 1) -> Say:
    return Say("heartbeat_round", 1, Role.LEADER, None, None, {"round": round_, "sent_at": 0.1 + 0.2})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs_node_1" / "dump.txt"


def lines(path):
    return path.read_bytes().decode().splitlines(keepends=True)


def test_a_line_stands_in_the_file_as_events_md_says(path):
    with DumpWriter(path, 1) as dump:
        dump.write(1.5, Say("append_accepted", 2, Role.FOLLOWER, 0, 7, {"msg": "m1", "from": 6, "to": 7}))
        dump.write(2.0, heartbeat())
    assert lines(path) == [
        "time\tseq\tnode\tterm\trole\tevent\tpeer\tindex\tsentence\tfacts\n",
        '1.500000\t1\t1\t2\tfollower\tappend_accepted\t0\t7\tNode 1 accepted AppendEntries RPC from 0.\t{"msg":"m1","from":6,"to":7}\n',
        "2.000000\t2\t1\t1\tleader\theartbeat_round\t\t\tLeader 1 sending heartbeat & Renewing Lease\t"
        '{"round":1,"sent_at":0.30000000000000004}\n',
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text() | st.sampled_from(WEIRD), st.text() | st.sampled_from(WEIRD)), min_size=1, max_size=5))
def test_pandas_reads_any_text_back_without_options(pairs):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump.txt"
        with DumpWriter(path, 1) as dump:
            for key, value in pairs:
                dump.write(1.0, set_request(key, value))
        frame = pd.read_csv(path, sep="\t")
        assert list(frame.columns) == list(COLUMNS)
        facts = [orjson.loads(text) for text in frame["facts"]]
        assert [(f["key"], f["value"]) for f in facts] == pairs
        assert list(frame["sentence"]) == [f"Node 1 (leader) received an SET {visible(k)} {visible(v)} request." for k, v in pairs]
        assert frame["peer"].isna().all()
        assert [parse_line(line, path, None)[8] for line in read_lines(path).splitlines(keepends=True)] == list(frame["sentence"])


def test_a_value_of_a_mebibyte_comes_back_whole(path):
    value = ('"\t\n' + "é" * 13) * (2**20 // 29)
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, set_request("k", value))
        dump.write(2.0, heartbeat())
    frame = pd.read_csv(path, sep="\t")
    assert len(frame) == 2
    assert orjson.loads(frame["facts"][0])["value"] == value


def test_cut_gives_the_courses_sentences_word_for_word(path):
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, heartbeat())
        dump.write(1.5, set_request("x", "1"))
        dump.write(2.0, Say("stepped_down", 1, Role.LEADER, None, None, {"why": "w", "now": 2.0}))
    try:
        done = subprocess.run(["cut", "-f9", str(path)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("there is no cut on this machine")
    assert done.stdout.splitlines()[1:] == [
        "Leader 1 sending heartbeat & Renewing Lease",
        "Node 1 (leader) received an SET x 1 request.",
        "1 Stepping down",
    ]


def test_facts_take_what_the_core_and_its_rules_may_put_into_them():
    facts = {
        "role": Role.LEADER,
        "entry": Entry(1, "SET", "k", "v"),
        "pair": (1, 2.5),
        "none": None,
        "rate": np.float64(0.5),
        "n": np.int64(3),
    }
    expected = {"role": "leader", "entry": [1, "SET", "k", "v", "", 0], "pair": [1, 2.5], "none": None, "rate": 0.5, "n": 3}
    assert orjson.loads(facts_text(facts)) == expected
    assert facts_text({}) == b"{}"
    assert orjson.loads(facts_text({"ids": {1: 2}, "big": 2**70, "bad": "\ud800"})) == {
        "ids": {"1": 2},
        "big": float(2**70),
        "bad": "\\ud800",
    }


def test_no_terminal_obeys_what_stands_in_the_facts():
    text = facts_text({"key": "\x1b[31m\x7f\x9b31m\u202e\u2028é"})
    assert text == '{"key":"\\u001b[31m\\u007f\\u009b31m\\u202e\\u2028é"}'.encode()


def test_numbering_goes_on_after_a_restart(path):
    for life in range(3):
        with DumpWriter(path, 1) as dump:
            assert (dump.seq, dump.last_time) == (2 * life, 1.0 * life)
            dump.write(life + 0.5, heartbeat())
            dump.write(life + 1.0, heartbeat())
    assert [line.split("\t")[1] for line in lines(path)] == ["seq", "1", "2", "3", "4", "5", "6"]


def test_a_long_last_line_is_found_whole(path):
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, set_request("k", "v" * 300_000))
    with DumpWriter(path, 1) as dump:
        assert dump.seq == 1


@pytest.mark.parametrize("keep", range(1, 60, 7))
def test_a_torn_last_line_is_cut_off_and_its_number_given_again(path, keep):
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, heartbeat())
    whole = path.read_bytes()
    with DumpWriter(path, 1) as dump:
        dump.write(2.0, heartbeat(2))
    path.write_bytes(path.read_bytes()[: len(whole) + keep])
    with DumpWriter(path, 1) as dump:
        assert path.read_bytes() == whole
        assert dump.seq == 1
        dump.write(3.0, heartbeat(3))
    assert [line.split("\t")[:2] for line in lines(path)[1:]] == [["1.000000", "1"], ["3.000000", "2"]]


def test_a_tail_of_nothing_but_zeros_is_a_torn_line(path):
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, heartbeat())
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(4096))
    DumpWriter(path, 1).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", HEADER[:10], HEADER[:-1], HEADER])
def test_a_file_that_got_no_further_than_its_header_begins_anew(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with DumpWriter(path, 1) as dump:
        assert dump.seq == 0
    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("content", [b"Node 1 became the leader for term 1.\n", b"No newline", b"time,seq,node\n1,2,3\n", b"\x00" * 100])
def test_a_foreign_file_is_refused_and_left_alone(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DumpError, match="line 1: the first line is not the header") as caught:
        DumpWriter(path, 1)
    assert path.read_bytes() == content
    assert (caught.value.path, caught.value.line) == (path, 1)


def test_a_damaged_last_line_is_named_and_left_alone(path):
    with DumpWriter(path, 1) as dump:
        dump.write(1.0, heartbeat())
    content = path.read_bytes() + b"1.0\tmany\t1\n"
    path.write_bytes(content)
    with pytest.raises(DumpError, match=r"line 3: 3 tab-separated columns instead of 10") as caught:
        DumpWriter(path, 1)
    assert caught.value.line == 3
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DumpError, match="cannot be opened .*check the folder"):
        DumpWriter(tmp_path / "file" / "dump.txt", 1)


def test_an_event_waits_in_memory_until_it_is_flushed(path):
    with DumpWriter(path, 1, flush_every=3600.0) as dump:
        dump.write(1.0, heartbeat())
        dump.maybe_flush()
        assert path.read_bytes() == HEADER
        dump.flush_every = 0.0
        dump.maybe_flush()
        assert len(lines(path)) == 2


def test_a_flood_goes_to_the_file_unasked(path):
    with DumpWriter(path, 1, flush_every=3600.0) as dump:
        for _ in range(300):
            dump.write(1.0, set_request("k", "v" * 2_000))
        assert path.stat().st_size > 2**18


class FullDisk:
    """A file that takes ``room`` bytes, and then no more."""

    def __init__(self, file, room):
        self.file, self.room, self.closed = file, room, False

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(bytes(data[: self.room]))
        self.room -= written
        return written

    def close(self):
        self.closed = True
        self.file.close()


def test_after_a_full_disk_writing_goes_on_where_it_stopped(path):
    dump = DumpWriter(path, 1)
    dump._file = disk = FullDisk(dump._file, 50)
    dump.write(1.0, heartbeat())
    with pytest.raises(DumpError, match="cannot be written .No space left on device.; make room"):
        dump.flush()
    disk.room = 10_000
    dump.write(2.0, heartbeat())
    dump.close()
    assert [line.split("\t")[1] for line in lines(path)] == ["seq", "1", "2"]


def test_a_flusher_on_another_thread_tears_no_line(path):
    dump, stop = DumpWriter(path, 1), threading.Event()

    def keep_flushing():
        while not stop.is_set():
            dump.flush()

    flusher = threading.Thread(target=keep_flushing)
    flusher.start()
    for n in range(3000):
        dump.write(n / 1000, heartbeat(n))
    stop.set()
    flusher.join()
    dump.close()
    frame = pd.read_csv(path, sep="\t")
    assert list(frame["seq"]) == list(range(1, 3001))


def test_a_listener_hears_every_sentence_in_order(path):
    heard = []
    with DumpWriter(path, 1, listener=lambda words, say: heard.append((words, say.event))) as dump:
        dump.write(1.0, heartbeat())
        dump.write(1.5, set_request("x", "1"))
    assert heard == [
        ("Leader 1 sending heartbeat & Renewing Lease", "heartbeat_round"),
        ("Node 1 (leader) received an SET x 1 request.", "client_request"),
    ]


def test_closing_twice_is_harmless(path):
    dump = DumpWriter(path, 1)
    dump.close()
    dump.close()


def test_a_dump_in_memory_says_the_same_as_one_on_disk(path, tmp_path):
    memory, heard = MemoryDump(1), []
    listening = MemoryDump(1, listener=lambda words, say: heard.append(words))
    with DumpWriter(path, 1) as dump:
        for sink in (dump, memory, listening):
            sink.write(1.0, heartbeat())
            sink.write(1.5, set_request("x", "\n"))
            sink.maybe_flush()
            sink.flush()
    memory.close()
    memory.save(tmp_path / "saved" / "dump.txt")
    assert (tmp_path / "saved" / "dump.txt").read_bytes() == path.read_bytes()
    assert (memory.seq, memory.rows[1].time, memory.rows[1].seq) == (2, 1.5, 2)
    assert heard[0] == "Leader 1 sending heartbeat & Renewing Lease"


def test_after_it_was_closed_on_a_full_disk_a_flush_does_nothing(path):
    dump = DumpWriter(path, 1)
    dump._file = FullDisk(dump._file, 0)
    dump.write(1.0, heartbeat())
    with pytest.raises(DumpError, match="No space left"):
        dump.close()
    dump.flush()
    assert read_lines(path) == b""


def test_a_listener_may_be_taken_away_while_an_event_is_written(path):
    class Leaving(DumpWriter):
        """Its listener leaves as soon as somebody has looked whether there is one."""

        listener = property(lambda self: self.__dict__.pop("_guest", None), lambda self, guest: self.__dict__.__setitem__("_guest", guest))

    heard = []
    with Leaving(path, 1, listener=lambda sentence, say: heard.append(sentence)) as dump:
        dump.write(1.0, heartbeat())
    assert len(heard) == 1
