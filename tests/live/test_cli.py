"""The commands as a person meets them: processes, terminals, pipes, and mistakes of one line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from raftedu.cli import COMMANDS, main
from raftedu.cli.client import LineError, _split
from raftedu.core.outputs import Say
from raftedu.core.types import Role
from raftedu.events import DumpWriter
from raftedu.events.table import EVENTS
from raftedu.trace import read_dump

ROOT = Path(__file__).resolve().parents[2]
PACE = 0.05
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
WINDOWS = sys.platform == "win32"
posix = pytest.mark.skipif(WINDOWS, reason="Windows has no signal that asks a process to end")


def raftedu(*words: object, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raftedu", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=120, env=ENV, cwd=cwd)


def one_line(done, *words: str) -> None:
    """Check that a mistake was told as such: exit code 1, one line, no traceback."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1, done.stderr
    assert [word for word in words if word not in lines[0]] == []


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def cluster_toml(folder: Path, nodes: int = 3) -> Path:
    lines = [f'{node} = "127.0.0.1:{port}"' for node, port in enumerate(free_ports(nodes), 1)]
    path = folder / "cluster.toml"
    path.write_text("[nodes]\n" + "\n".join(lines) + f"\n[timing]\npace = {PACE}\n")
    return path


class Process:
    """A `raftedu node` in a process of its own; what it prints goes to files. None outlives its test's module."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, folder: Path, node: int, *more: str) -> None:
        self.out, self.err = folder / f"out_{node}.txt", folder / f"err_{node}.txt"
        where = ["--peers", str(folder / "cluster.toml"), "--dir", str(folder)]
        command = [sys.executable, "-m", "raftedu", "node", "--id", str(node), *where, *more]
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=ENV, preexec_fn=_obey_ctrl_c if os.name == "posix" else None
            )
        self.started.append(self.process)

    def said(self) -> str:
        return self.out.read_text(encoding="utf-8")

    def end(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def _obey_ctrl_c() -> None:
    """Undo what a shell does to a job in its background: it makes all of its children deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left():
    yield
    for process in Process.started:
        process.kill()
        process.wait(60)
    Process.started.clear()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Three nodes in three processes; the folder of their files."""
    folder = tmp_path_factory.mktemp("processes")
    cluster_toml(folder)
    processes = {node: Process(folder, node) for node in (1, 2, 3)}
    return folder, processes


def client(folder: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return raftedu("client", "--peers", folder / "cluster.toml", "--deadline", 60 / PACE, *words, stdin=stdin)


# ---------------------------------------------------------------- help


def test_help_lists_every_command_and_loads_none():
    program = "import sys; from raftedu.cli import main; main(['--help'], standalone_mode=False)\n"
    program += "print([name for name in ('grpc', 'pandas', 'matplotlib', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENV, timeout=60)
    assert done.stdout.endswith("[]\n"), done.stderr
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", done.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 5
    assert "\b" not in done.output


def test_the_version_is_the_packages():
    assert re.fullmatch(r"raftedu, version \d+\.\d+\.\d+\n", CliRunner().invoke(main, ["--version"]).output)


def test_the_commands_page_names_every_command_and_option():
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"## raftedu {name}" in page
        text = CliRunner().invoke(main, [name, "--help"]).output
        options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE)) - {"--help"}
        section = page.split(f"## raftedu {name}")[1].split("\n## ")[0]
        assert [option for option in options if f"`{option}" not in section] == []


# ---------------------------------------------------------------- client: lines


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SET x 1", ["SET", "x", "1"]),
        ("  get   x  \n", ["GET", "x"]),
        ('SET "a key" \'a "quoted" value\'', ["SET", "a key", 'a "quoted" value']),
        ('SET x ""', ["SET", "x", ""]),
        ("\ufeffSET x -1", ["SET", "x", "-1"]),
        ("", []),
        ("# a comment", []),
        ("SET x a\u00a0b\u2028c", ["SET", "x", "a\u00a0b\u2028c"]),
        ("SET x\t\t#1", ["SET", "x", "#1"]),
    ],
)
def test_a_line_is_split_as_a_shell_would(line, words):
    assert _split(line) == words


@pytest.mark.timeout(20)
def test_a_line_of_megabytes_is_split_at_once():
    assert [len(word) for word in _split("SET big " + "v" * 4_000_000)] == [3, 3, 4_000_000]


def test_a_quote_without_its_other_half_is_told():
    with pytest.raises(LineError, match="no closing quotation"):
        _split("SET x it's")


# ---------------------------------------------------------------- client: a cluster


@pytest.mark.live
def test_arguments_set_and_get(running):
    folder, _ = running
    done = client(folder, "SET", "greeting", "hello  world")
    assert (done.returncode, done.stdout, done.stderr) == (0, "SUCCESS\n", "")
    assert client(folder, "GET", "greeting").stdout == "hello  world\n"
    assert client(folder, "GET", "nobody set this").stdout == "\n"
    assert client(folder, "set", "n", "-1").stdout == "SUCCESS\n"
    assert client(folder, "GET", "n").stdout == "-1\n"


@pytest.mark.live
def test_a_pipe_does_every_line_and_tells_which_were_wrong(running):
    folder, _ = running
    lines = 'SET a 1\nGET a\n\n# a comment\nSET b\nFLY away\nSET c it\'s\nSET d "two words"\nGET d\nEXIT\nGET a\n'
    done = client(folder, stdin=lines)
    assert done.returncode == 1
    assert done.stdout == "SUCCESS\n1\nSUCCESS\ntwo words\n"
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["line 5", "line 6", "line 7"]
    assert client(folder, stdin="SET a 2\nGET a\n").returncode == 0


@pytest.mark.live
def test_status_shows_every_node(running):
    folder, _ = running
    end = time.monotonic() + 60
    while "valid for" not in (done := client(folder, "STATUS")).stdout and time.monotonic() < end:
        time.sleep(0.05)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert re.search(r"leader .* valid for \d", done.stdout)


@pytest.mark.live
@pytest.mark.parametrize(("words", "told"), [(["SET", "x"], "SET K V"), (["GET", "a", "b"], "quotes"), (["DEL", "x"], "'DEL'")])
def test_arguments_that_are_no_operation_are_told(running, words, told):
    one_line(client(running[0], *words), told)


@pytest.mark.live
def test_nodes_print_the_courses_sentences_and_nothing_else(running):
    folder, processes = running
    client(folder, "SET", "told", "1")
    end = time.monotonic() + 60
    while not all("committed the entry SET told 1" in process.said() for process in processes.values()) and time.monotonic() < end:
        time.sleep(0.05)
    heard = "\n".join(process.said() for process in processes.values())
    sentences = (
        r"Node \d election timer timed out, Starting election\.",
        r"Node \d became the leader for term \d+\.",
        r"Leader \d sending heartbeat & Renewing Lease",
        r"Node \d \(leader\) received an SET told 1 request\.",
        r"Node \d \(leader\) committed the entry SET told 1 to the state machine\.",
        r"Node \d \(follower\) committed the entry SET told 1 to the state machine\.",
        r"Vote granted for Node \d in term \d+\.",
    )
    for sentence in sentences:
        assert re.search(f"^{sentence}$", heard, re.MULTILINE), sentence
    others = {line for line in heard.splitlines() if re.search(r"set its|sent |received AppendEntries|promised", line)}
    assert others == set()


# ---------------------------------------------------------------- node


@pytest.mark.live
def test_a_second_node_on_the_same_port_or_folder_is_refused(running, tmp_path):
    folder, _ = running
    done = raftedu("node", "--id", 1, "--peers", folder / "cluster.toml", "--dir", tmp_path)
    one_line(done, "127.0.0.1:", "cannot be bound")
    done = raftedu("node", "--id", 1, "--peers", cluster_toml(tmp_path), "--dir", folder)
    one_line(done, "logs_node_1")


@pytest.mark.live
@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_a_node_that_is_asked_to_end_stops_and_later_goes_on(tmp_path, number):
    cluster_toml(tmp_path, nodes=1)
    for life in (1, 2):
        node = Process(tmp_path, 1, "--all")
        assert client(tmp_path, "SET", f"life {life}", "lived").returncode == 0
        assert node.end(number) == 0
        assert "Node 1 has stopped" in node.err.read_text()
        assert f"incarnation {life}" in node.said()
    node = Process(tmp_path, 1)
    assert client(tmp_path, "GET", "life 1").stdout == "lived\n"
    assert node.end(number) == 0
    assert "Traceback" not in node.err.read_text()


@pytest.mark.live
@posix
def test_a_reader_that_goes_away_ends_the_node_quietly(tmp_path):
    path = cluster_toml(tmp_path, nodes=1)
    command = [sys.executable, "-m", "raftedu", "node", "--id", "1", "--peers", str(path), "--dir", str(tmp_path), "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert b"Traceback" not in process.stderr.read()


def test_the_example_can_be_read_and_a_node_that_is_not_in_it_is_told(tmp_path):
    (tmp_path / "cluster.toml").write_text(raftedu("node", "--example").stdout)
    one_line(raftedu("node", "--id", 9, cwd=tmp_path), "cluster.toml", "there is no node 9", "1, 2, 3, 4, 5")
    assert list(tmp_path.iterdir()) == [tmp_path / "cluster.toml"]


def test_a_node_must_know_which_one_it_is():
    done = CliRunner().invoke(main, ["node"])
    assert done.exit_code == 2
    assert "say which node this is: --id 1" in done.output


@pytest.mark.parametrize("command", [["node", "--id", "1"], ["client", "GET", "x"]])
def test_a_cluster_toml_that_is_missing_or_wrong_is_told(tmp_path, command):
    one_line(raftedu(*command, cwd=tmp_path), "cluster.toml", "no such file")
    (tmp_path / "cluster.toml").write_text('[nodes]\n1 = "127.0.0.1:1"\n[timing]\nlease = 0.5\n')
    one_line(raftedu(*command, cwd=tmp_path), "cluster.toml", "lease=0.5", "heartbeat=1.0")


def test_a_warning_is_a_line_too(tmp_path):
    (tmp_path / "cluster.toml").write_text('[nodes]\n1 = "127.0.0.1:1"\n[timing]\nlease = 2\npace = 0.01\n')
    done = raftedu("client", "--deadline", "1", "GET", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Warning: lease=2.0 is less than three heartbeats")
    assert "warnings.warn" not in done.stderr
    assert done.stdout.startswith("FAIL: ")


@pytest.mark.live
@pytest.mark.parametrize(
    ("name", "text", "words"), [("metadata.txt", "nonsense\n", ["metadata.txt"]), ("dump.txt", "hello\n", ["dump.txt"])]
)
def test_damage_is_told_and_left_alone(tmp_path, name, text, words):
    path = cluster_toml(tmp_path, nodes=1)
    folder = tmp_path / "logs_node_1"
    folder.mkdir()
    (folder / "logs.txt").write_text("")
    (folder / name).write_text(text)
    one_line(raftedu("node", "--id", 1, "--peers", path, "--dir", tmp_path), *words)
    assert (folder / name).read_text() == text


# ---------------------------------------------------------------- demo, dump, plot


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    # Not faster: the wait of nearly 3 s must outlast any time for which this machine does not let a node run.
    folder = tmp_path_factory.mktemp("demo") / "a run"
    return folder, raftedu("demo", "--pace", 0.25, "--dir", folder, "--seed", 3)


@pytest.mark.live
@pytest.mark.slow
def test_the_demo_tells_of_a_handover_with_a_wait(demo):
    folder, done = demo
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    trace = read_dump(folder)
    crash = trace.faults().query("kind == 'crashed'").iloc[0]
    waits = trace.waits().query(f"start > {crash.start}")
    assert len(waits) >= 1
    wait = waits.iloc[0]
    assert wait.length > 0
    assert "New Leader waiting for Old Leader Lease to timeout." in done.stdout
    assert f"Node {crash.node} was killed at {crash.start:.3f} s." in done.stdout
    assert f"had to wait {wait.length:.3f} s, until {wait.wait_until:.3f} s, for the lease of node {crash.node} to run out." in done.stdout
    assert (folder / "story.png").read_bytes().startswith(b"\x89PNG")
    assert str(folder / "story.png") in done.stdout


@pytest.mark.live
@pytest.mark.slow
def test_the_demo_leaves_a_folder_that_holds_something_alone(demo):
    folder, _ = demo
    before = sorted(folder.rglob("*"))
    one_line(raftedu("demo", "--pace", PACE, "--dir", folder), "is not empty", "--dir")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.live
@pytest.mark.slow
def test_the_demo_says_so_when_nobody_had_to_wait(tmp_path):
    done = raftedu("demo", "--pace", PACE, "--lease", "4", "--nodes", "3", "--dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_dump(tmp_path).waits().empty == ("Nobody had to wait" in done.stdout)


def test_the_demo_refuses_what_contradicts_itself(tmp_path):
    one_line(raftedu("demo", "--lease", "0.5", "--dir", tmp_path), "lease=0.5", "heartbeat=1.0")


@pytest.mark.live
@pytest.mark.slow
def test_dump_prints_the_sentences_of_the_files(demo):
    folder, _ = demo
    rows = [line.split("\t") for line in (folder / "logs_node_2" / "dump.txt").read_text(encoding="utf-8").splitlines()[1:]]
    course = [row[8] for row in rows if EVENTS[row[5]].course and (row[5] != "client_request" or row[4] == "leader")]
    assert raftedu("dump", "--classic", folder / "logs_node_2").stdout.splitlines() == course
    everything = raftedu("dump", "--all", folder).stdout.splitlines()
    assert len(everything) == len(read_dump(folder).frame)
    times = [float(line.split()[0]) for line in everything]
    assert times == sorted(times)


def test_dump_tells_nodes_that_began_at_different_moments_on_one_clock(tmp_path):
    for node, zero in ((1, 1000.0), (2, 1010.0)):
        with DumpWriter(tmp_path / f"logs_node_{node}" / "dump.txt", node) as dump:
            facts = {"incarnation": 1, "utc_zero": zero, "pace": 1.0, "config": {}, "restored": {"last_index": 0}, "now": 0.0}
            dump.write(0.0, Say("started", 0, Role.FOLLOWER, None, None, facts))
            dump.write(5.0, Say("election_started", 1, Role.CANDIDATE, None, None, {"why": "", "for_term": 1, "now": 5.0}))
    words = [line.split()[:2] for line in raftedu("dump", "--all", tmp_path).stdout.splitlines()]
    frame = read_dump(tmp_path).frame
    assert words == [[f"{time:.3f}", str(node)] for time, node in zip(frame["time"], frame["node"], strict=True)]
    assert words == [["0.000", "1"], ["5.000", "1"], ["10.000", "2"], ["15.000", "2"]]


@pytest.mark.live
@pytest.mark.slow
def test_plot_draws_the_files(demo, tmp_path):
    done = raftedu("plot", demo[0], "-o", tmp_path / "story.svg")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "story.svg")), done.stderr
    assert "<svg" in (tmp_path / "story.svg").read_text(encoding="utf-8")
    one_line(raftedu("plot", demo[0], "-o", tmp_path / "story.xyz"), "xyz")


@pytest.mark.parametrize("command", ["dump", "plot"])
def test_paths_without_a_dump_are_told(tmp_path, command):
    one_line(raftedu(command, tmp_path), str(tmp_path), "no dump.txt")


# ---------------------------------------------------------------- lab


def test_lab_copies_the_notebooks_and_keeps_what_was_changed(tmp_path, monkeypatch):
    source, mine = tmp_path / "source", tmp_path / "mine"
    (source / "pictures").mkdir(parents=True)
    (source / "00.ipynb").write_text(json.dumps({"cells": []}))
    (source / "pictures" / "a.svg").write_text("<svg/>")
    monkeypatch.setattr("raftedu.cli.lab.data_path", lambda kind: source)
    assert "2 files copied" in CliRunner().invoke(main, ["lab", "--no-open", "--dir", str(mine)]).output
    (mine / "00.ipynb").write_text("mine")
    done = CliRunner().invoke(main, ["lab", "--no-open", "--dir", str(mine)])
    assert "2 that were there already left as they are" in done.output
    assert (mine / "00.ipynb").read_text() == "mine"


def test_lab_opens_them_with_what_is_installed(tmp_path, monkeypatch):
    (tmp_path / "source").mkdir()
    monkeypatch.setattr("raftedu.cli.lab.data_path", lambda kind: tmp_path / "source")
    monkeypatch.setattr("raftedu.cli.lab.find_spec", lambda name: name == "notebook")
    opened = []
    monkeypatch.setattr("raftedu.cli.lab.subprocess.call", lambda command: opened.append(command) or 0)
    assert CliRunner().invoke(main, ["lab", "--dir", str(tmp_path / "mine")]).exit_code == 0
    assert opened == [[sys.executable, "-m", "notebook", str(tmp_path / "mine")]]
    monkeypatch.setattr("raftedu.cli.lab.find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["lab", "--dir", str(tmp_path / "mine")])
    assert done.exit_code == 1
    assert "pip install 'raftedu[lab]'" in done.output
