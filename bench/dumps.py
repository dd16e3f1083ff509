"""What an event costs: said into a dump.txt, and read back from it."""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path

import raftedu
from bench.figure import Figure
from raftedu.core.outputs import Say
from raftedu.core.types import Role
from raftedu.events import DumpWriter

__all__ = ["dump_speed"]

COUNT = 200_000
REPEATS = 3

# The events of a SET as a follower tells them, with facts as long as they really are.
_LEADER, _FOLLOWER = Role.LEADER, Role.FOLLOWER
SAYS = (
    Say("received", 3, _FOLLOWER, 1, None, {
        "msg": "1.1.20077", "type": "AppendEntries", "msg_term": 3, "prev_index": 12000, "prev_term": 3, "n_entries": 1,
        "leader_commit": 12000, "round": 12099, "sent_at": 12.345678, "lease": 8.0,
    }),
    Say("timer_set", 3, _FOLLOWER, None, None, {"timer": "election", "deadline": 19.87654321}),
    Say("lease_promised", 3, _FOLLOWER, 1, None, {"old_until": 20.345678, "until": 20.3467912, "msg": "1.1.20077", "now": 12.3456}),
    Say("entry_appended", 3, _FOLLOWER, None, 12001, {
        "from": 12001, "entries": [[12001, 3, "SET key7 xxxxxxxxxxxxxxxx", "bench-1", 12000]], "chain": "29b1c0ffee29b1c0",
    }),
    Say("append_accepted", 3, _FOLLOWER, 1, 12001, {"msg": "1.1.20077", "from": 12001, "to": 12001}),
    Say("committed", 3, _FOLLOWER, None, 12000, {
        "old": 11999, "new": 12000, "basis": {"leader_commit": 12000, "last_new": 12001}, "op": "SET key6 xxxxxxxxxxxxxxxx",
        "by": "follower",
    }),
    Say("applied", 3, _FOLLOWER, None, 12000, {"from": 12000, "to": 12000, "effects": [], "state": "29b1c0ffee29b1c0"}),
    Say("persisted", 3, _FOLLOWER, None, None, {"seq": 12004, "what": "log 12001 to 12001", "from": 12001, "to": 12001}),
    Say("sent", 3, _FOLLOWER, 1, None, {
        "msg": "2.1.12044", "type": "AppendReply", "msg_term": 3, "success": True, "match_index": 12001, "round": 12099,
    }),
)  # fmt: skip


def dump_speed(folder: Path) -> list[Figure]:
    """Return what writing and reading cost, the best of some repeats: whatever else runs only adds to it."""
    path = folder / "logs_node_2" / "dump.txt"
    write, read = [], []
    for _ in range(REPEATS):
        path.unlink(missing_ok=True)
        write.append(_write(path))
        start = time.process_time()
        events = len(raftedu.read_dump(folder).frame)
        read.append((time.process_time() - start) / events)
    each, rate = min(write), 1 / min(read)
    return [
        Figure("writing an event", each, f"{each * 1e6:.1f} us of CPU", "aim: <= 4 us", each <= 4e-6),
        Figure("reading events", rate, f"{rate / 1e6:.2f} million a second of CPU", "aim: >= 0.6 million", rate >= 0.6e6),
    ]


def _write(path: Path) -> float:
    start = time.process_time()
    with DumpWriter(path, 2) as dump:
        for i, say in enumerate(islice(cycle(SAYS), COUNT)):
            dump.write(i * 1e-4, say)
    return (time.process_time() - start) / COUNT
