"""A follower that somebody else wrote, on stubs made from node.proto at the root and on nothing of raftedu.

It answers RequestVote and AppendEntries, keeps its log in memory and never campaigns. The Peer stream it leaves alone: UNIMPLEMENTED.
Arguments: the folder of the stubs, and its id. It prints its port, and then every index that it acknowledges.
"""

from __future__ import annotations

import sys
from concurrent import futures
from threading import Lock

import grpc

sys.path.insert(0, sys.argv[1])
import node_pb2 as pb  # noqa: E402
import node_pb2_grpc  # noqa: E402

ME = int(sys.argv[2])


class Follower(node_pb2_grpc.RaftServicer):
    def __init__(self) -> None:
        self.lock = Lock()
        self.term, self.voted_for = 0, None
        self.log: list[pb.Entry] = []

    def adopt(self, term: int) -> None:
        if term > self.term:
            self.term, self.voted_for = term, None

    def RequestVote(self, request, context):
        with self.lock:
            self.adopt(request.term)
            mine = (self.log[-1].term if self.log else 0, len(self.log))
            granted = (
                request.term == self.term
                and self.voted_for in (None, request.sender)
                and (request.last_log_term, request.last_log_index) >= mine
            )
            if granted:
                self.voted_for = request.sender
            return pb.VoteReply(term=self.term, sender=ME, granted=granted)

    def AppendEntries(self, request, context):
        with self.lock:
            self.adopt(request.term)
            prev, reply = request.prev_log_index, pb.AppendReply(sender=ME, round=request.round, prev_log_index=request.prev_log_index)
            reply.term = self.term
            fits = prev == 0 or (prev <= len(self.log) and self.log[prev - 1].term == request.prev_log_term)
            if request.term < self.term or not fits:
                reply.conflict_index = min(prev, len(self.log) + 1)
                return reply
            for i, entry in enumerate(request.entries, prev):
                if i < len(self.log) and self.log[i].term != entry.term:
                    del self.log[i:]
                if i >= len(self.log):
                    self.log.append(entry)
            reply.success, reply.match_index = True, prev + len(request.entries)
            if request.entries:
                print("acknowledged", reply.match_index, flush=True)
            return reply


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    node_pb2_grpc.add_RaftServicer_to_server(Follower(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()  # it ends when whoever started it does
    server.stop(None)


if __name__ == "__main__":
    main()
