"""Real nodes: threads, sockets, a disk and a clock around the core."""

from __future__ import annotations

import os

# A notebook's `!command` forks the kernel; gRPC would try to follow and fill the cell with noise. Set before grpc is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# Every crash that a lecture injects, and every port in use, would be told a second time, by gRPC, on stderr.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
