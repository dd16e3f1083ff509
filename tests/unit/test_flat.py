"""The cost of an operation does not grow with the log: work is counted here, in bytecodes, bytes and calls, and never timed."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque
from pathlib import Path

import pytest

from raftedu.core.config import Config
from raftedu.core.inputs import ClientRequest, Input, Persisted, Receive, TimerFired
from raftedu.core.node import Node
from raftedu.core.outputs import Answer, Output, Persist, Send, SetTimer
from raftedu.core.types import Durable, Entry, HardState
from raftedu.live.disk import Disk
from raftedu.live.storage import FileStorage

pytestmark = pytest.mark.slow

SHORT, LONG = 1_000, 20_000
A_SECOND, A_WHILE = 1.0, 60.0


class Trio:
    """Three nodes that begin with a log of ``length`` entries, and node 1 leads; messages and writes arrive in order and at once."""

    def __init__(self, length: int) -> None:
        config = Config.of(3)
        durable = Durable(HardState(1), tuple(Entry(1, "SET", f"k{i % 10}", "v", "c", i) for i in range(1, length + 1)), True)
        self.nodes = {node: Node(node, config, durable=durable) for node in config.nodes}
        self.mail: deque[tuple[int, Input]] = deque()
        self.timers: dict[int, int] = {}
        self.now, self.sets, self.answers = 0.0, length, 0
        for node, core in self.nodes.items():
            self.take(node, core.start(self.now))
        self.now = A_WHILE
        self.step(1, TimerFired("election", self.timers[1]))

    def set(self) -> None:
        self.now += 1e-5  # so that few of the SETs meet a heartbeat
        self.sets += 1
        self.step(1, ClientRequest("SET", f"k{self.sets % 10}", "v", "c", self.sets, "op"))

    def get(self) -> None:
        self.step(1, ClientRequest("GET", "k1", "", "c", self.sets, "op"))

    def heartbeat(self) -> None:
        self.now += A_SECOND
        state = self.nodes[1].state
        self.step(1, TimerFired("leader", state.generation["leader"]))

    def step(self, node: int, input: Input) -> None:
        self.mail.append((node, input))
        while self.mail:
            node, input = self.mail.popleft()
            self.take(node, self.nodes[node].step(input, self.now))

    def take(self, node: int, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Persist):
                self.mail.append((node, Persisted(output.seq)))
            elif isinstance(output, Send):
                self.mail.append((output.to, Receive(output.message)))
            elif isinstance(output, SetTimer) and output.timer == "election":
                self.timers[node] = output.generation
            elif isinstance(output, Answer):
                self.answers += 1


@pytest.fixture(scope="module")
def trios():
    """Three nodes with a short log, and three with a long one; all of it is applied."""
    made = []
    for length in (SHORT, LONG):
        trio = Trio(length)
        for _ in range(50):
            trio.set()
        assert trio.answers == 50
        assert {core.state.last_applied for core in trio.nodes.values()} >= {length + 50}
        made.append(trio)
    return made


def bytecodes(work) -> int:
    """Return how many instructions of Python ``work`` takes."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def bytes_at_once(work) -> int:
    """Return how many bytes more than before ``work`` holds at its worst moment: a copy of the log shows here, however it is made."""
    gc.collect()
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()


OPERATIONS = [Trio.set, Trio.get, Trio.heartbeat]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_takes_as_many_instructions_in_a_long_log(trios, operation):
    for trio in trios:
        operation(trio)  # what is done only once is done
    short, long = (bytecodes(lambda trio=trio: operation(trio)) for trio in trios)
    assert short > 500
    assert long <= 1.05 * short


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_copies_nothing_that_grows(trios, operation):
    # A list that grows is moved now and then, and pays for many operations to come: one in five is enough to see a copy each time.
    short, long = (min(bytes_at_once(lambda trio=trio: operation(trio)) for _ in range(5)) for trio in trios)
    assert short < 50_000, "a list of SHORT pointers has 8 kB, so this would not be one"
    assert long <= short + LONG, "a list of LONG pointers has 8 * LONG bytes"


def test_an_election_in_a_long_log_copies_nothing_that_grows(trios):
    def elect(trio: Trio) -> None:
        trio.now += A_WHILE
        trio.step(2, TimerFired("election", trio.timers[2]))
        trio.now += A_WHILE
        trio.step(1, TimerFired("election", trio.timers[1]))

    short, long = (min(bytes_at_once(lambda trio=trio: elect(trio)) for _ in range(3)) for trio in trios)
    assert all(trio.nodes[1].status(trio.now).term > 2 for trio in trios), "there were elections"
    assert long <= short + LONG


class CountingDisk(Disk):
    """A real disk that counts what is asked of it."""

    def __init__(self) -> None:
        self.calls, self.bytes = 0, 0

    def write(self, handle: int, data: bytes) -> None:
        self.calls, self.bytes = self.calls + 1, self.bytes + len(data)
        super().write(handle, data)

    def read(self, path: Path) -> bytes:
        data = super().read(path)
        self.calls, self.bytes = self.calls + 1, self.bytes + len(data)
        return data

    def sync_file(self, handle: int) -> None:
        self.calls += 1


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_saving_one_entry_writes_one_line_and_reads_nothing(tmp_path, length):
    disk = CountingDisk()
    storage = FileStorage(tmp_path / "logs_node_1", disk=disk)
    storage.load()
    entry = Entry(1, "SET", "key", "value", "client", 7)
    storage.write(Persist(1, HardState(1, 1), 1, (entry,) * length, False))
    storage.sync()
    disk.calls = disk.bytes = 0
    storage.write(Persist(2, None, length + 1, (entry,), False))
    storage.note(length, length)
    copied = bytes_at_once(storage.sync)
    line = b'SET key value 1\t{"client":"client","request":7}\n'
    assert (disk.calls, disk.bytes) == (2, len(line))
    assert copied < 50_000
    storage.close()
