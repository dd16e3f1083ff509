"""node.proto and the stubs made from it: fresh, exact about "none", and at peace with stubs that a student made."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from raftedu.core.messages import AppendEntries, AppendReply, RequestVote, VoteReply
from raftedu.core.outputs import Answer
from raftedu.core.types import Entry
from raftedu.live.proto import RaftServicer, RaftStub, add_RaftServicer_to_server, messages

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "raftedu" / "live" / "proto"
METHODS = {"RequestVote", "AppendEntries", "Peer", "Set", "Get", "Status", "Session"}


class RecordingChannel:
    """Stands in for a gRPC channel and notes what a stub asks of it."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def unary_unary(self, path: str, *_: object, **__: object) -> None:
        self.paths[path] = "unary"

    def stream_stream(self, path: str, *_: object, **__: object) -> None:
        self.paths[path] = "stream"


def there_and_back(message):
    return type(message).FromString(message.SerializeToString())


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize("name", ["node_pb2.py", "node_pb2.pyi", "node_pb2_grpc.py"])
def test_the_stubs_are_made_from_this_node_proto(name):
    text = (ROOT / "node.proto").read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    head = (STUBS / name).read_text(encoding="utf-8").splitlines()[:2]
    assert head[1] == f"# node.proto sha256 {digest}", "the stubs are stale: run `make proto`"
    assert "make proto" in head[0]


def test_methods_have_the_course_paths_and_kinds():
    channel = RecordingChannel()
    RaftStub(channel)
    streams = {"Peer", "Session"}
    assert channel.paths == {f"/raftedu.Raft/{name}": "stream" if name in streams else "unary" for name in METHODS}


def test_a_node_registers_under_the_same_name():
    class Registry:
        def add_generic_rpc_handlers(self, handlers):
            self.name = handlers[0].service_name()

        def add_registered_method_handlers(self, name, handlers):
            self.registered, self.methods = name, set(handlers)

    registry = Registry()
    add_RaftServicer_to_server(RaftServicer(), registry)
    assert registry.name == registry.registered == "raftedu.Raft"
    assert registry.methods == METHODS


# ---------------------------------------------------------------- the fields


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("AppendReply", "conflict_term"),
        ("ClientReply", "retry_after"),
        ("StatusReply", "voted_for"),
        ("StatusReply", "lease_left"),
        ("StatusReply", "wait_left"),
    ],
)
def test_none_and_zero_differ_after_the_wire(kind, field):
    message = getattr(messages, kind)
    assert not there_and_back(message()).HasField(field)
    zero = there_and_back(message(**{field: 0}))
    assert zero.HasField(field)
    assert getattr(zero, field) == 0


@pytest.mark.parametrize("kind", ["ClientReply", "StatusReply"])
def test_no_leader_and_leader_zero_differ(kind):
    message = getattr(messages, kind)
    assert not there_and_back(message()).HasField("leader")
    hint = there_and_back(message(leader=messages.Leader(node=0)))
    assert hint.HasField("leader")
    assert hint.leader.node == 0


def test_an_empty_peer_message_is_none_of_the_four():
    assert messages.PeerMessage().WhichOneof("body") is None
    beat = messages.PeerMessage(append_request=messages.AppendRequest())
    assert there_and_back(beat).WhichOneof("body") == "append_request"


def test_an_outcome_that_was_not_set_is_no_success():
    assert messages.ClientReply().outcome == messages.OUTCOME_UNSPECIFIED
    assert {messages.Outcome.Name(n) for n in (1, 2, 3)} == {"SUCCESS", "FAIL", "UNKNOWN"}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("VoteRequest", "lease"),
        ("VoteReply", "remaining"),
        ("AppendRequest", "sent_at"),
        ("AppendRequest", "lease"),
        ("ClientReply", "retry_after"),
        ("StatusReply", "promise_left"),
    ],
)
def test_seconds_keep_double_precision(kind, field):
    seconds = 1_700_000_000.123456  # float32 would be off by up to 64 s here
    assert getattr(there_and_back(getattr(messages, kind)(**{field: seconds})), field) == seconds


def test_ids_terms_and_indexes_are_64_bits_and_signed():
    request = there_and_back(messages.VoteRequest(term=2**62, sender=-1, last_log_index=2**62))
    assert (request.term, request.sender, request.last_log_index) == (2**62, -1, 2**62)


@pytest.mark.parametrize("text", ["", "a b", "tab\tnewline\n", '"quoted"', "🚢", "\0", "x" * 2**20])
def test_keys_and_values_are_any_text(text):
    request = there_and_back(messages.SetRequest(key=text, value=text))
    assert (request.key, request.value) == (text, text)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RequestVote, "VoteRequest"),
        (VoteReply, "VoteReply"),
        (AppendEntries, "AppendRequest"),
        (AppendReply, "AppendReply"),
        (Entry, "Entry"),
    ],
)
def test_each_message_mirrors_the_core(ours, theirs):
    on_the_wire = set(getattr(messages, theirs).DESCRIPTOR.fields_by_name)
    assert on_the_wire - {"msg"} == set(ours._fields)


def test_a_reply_carries_all_that_the_core_answers():
    names = {"client": "client_id", "request": "request_id"}
    assert set(messages.ClientReply.DESCRIPTOR.fields_by_name) == {names.get(field, field) for field in Answer._fields}


# ---------------------------------------------------------------- stubs made at the root, beside ours

CHECK = """
    class Channel:
        def __init__(self): self.paths = []
        def note(self, path, **_):
            self.paths.append(path)
            return self
        unary_unary = stream_stream = note
    def method_paths(stub):
        channel = Channel()
        stub(channel)
        return channel.paths
    assert method_paths(node_pb2_grpc.RaftStub) == method_paths(proto.RaftStub)

    entry = dict(term=3, op="SET", key="x", value="1", client="c", request=7)
    facts = dict(term=4, sender=0, prev_log_index=1, prev_log_term=1, leader_commit=1, round=9, sent_at=1.25, lease=8.0, msg="m1")
    for mine, other in ((node_pb2, proto.messages), (proto.messages, node_pb2)):
        sent = mine.AppendRequest(entries=[mine.Entry(**entry)], **facts)
        came = other.AppendRequest.FromString(sent.SerializeToString())
        assert (came.entries[0].value, came.round, came.sent_at) == ("1", 9, 1.25), came
        assert came.SerializeToString() == sent.SerializeToString()
        assert came.DESCRIPTOR is not sent.DESCRIPTOR
    print("both")
"""


@pytest.fixture(scope="module")
def root_stubs(tmp_path_factory) -> Path:
    """Return a folder with the stubs that the command at the head of node.proto makes."""
    pytest.importorskip("grpc_tools", reason="needs grpcio-tools to make stubs as a student does")
    folder = tmp_path_factory.mktemp("root")
    (folder / "node.proto").write_bytes((ROOT / "node.proto").read_bytes())
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "node.proto"]
    subprocess.run(command, cwd=folder, check=True)
    assert {path.name for path in folder.glob("*.py")} == {"node_pb2.py", "node_pb2_grpc.py"}
    return folder


@pytest.mark.parametrize(
    "imports",
    ["import node_pb2, node_pb2_grpc\nfrom raftedu.live import proto", "from raftedu.live import proto\nimport node_pb2, node_pb2_grpc"],
    ids=["root first", "ours first"],
)
@pytest.mark.parametrize("protobuf", ["upb", "python"])
def test_root_stubs_and_ours_share_a_process(root_stubs, imports, protobuf):
    program = f"import sys\nsys.path[:0] = [{str(root_stubs)!r}, {str(ROOT)!r}]\n{imports}\n{textwrap.dedent(CHECK)}"
    environment = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": protobuf, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)
    assert done.stdout == "both\n", done.stderr
