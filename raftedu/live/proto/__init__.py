"""The messages and the service of ``node.proto``, as Python. It knows nothing of the core and decides nothing.

The generated modules beside this one are written by `make proto`. They live in one process with stubs that a student
made at the root, in either order of import (see ``tools/make_proto.py``), and speak the same bytes on the same paths.

>>> VoteReply = messages.VoteReply
>>> VoteReply.FromString(VoteReply(term=3, sender=0, granted=True, remaining=2.5).SerializeToString()).remaining
2.5
"""

from __future__ import annotations

from raftedu.live.proto import node_pb2 as messages
from raftedu.live.proto.node_pb2_grpc import RaftServicer, RaftStub, add_RaftServicer_to_server

__all__ = ["RaftServicer", "RaftStub", "add_RaftServicer_to_server", "messages"]
