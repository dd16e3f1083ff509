"""Three etcd processes on loopback, as they come: fsync on, default settings, nothing tuned. They end with the block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc

from bench.wire import leads_etcd

__all__ = ["etcd_cluster", "etcd_version", "free_ports"]

PATIENCE = 30.0


def etcd_version() -> str:
    """Return etcd's version, empty if it is not installed."""
    if shutil.which("etcd") is None:
        return ""
    lines = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()
    return lines[0].rpartition(" ")[2]


@contextmanager
def etcd_cluster(folder: Path, nodes: int = 3) -> Iterator[str]:
    """Yield the address of the leader of a fresh etcd cluster that keeps its files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(2 * nodes)
    clients, peers = ports[:nodes], ports[nodes:]
    everybody = ",".join(f"n{i}=http://127.0.0.1:{port}" for i, port in enumerate(peers))
    processes = []
    try:
        for i, (client, peer) in enumerate(zip(clients, peers, strict=True)):
            command = [
                "etcd", "--name", f"n{i}", "--data-dir", str(folder / f"n{i}"), "--log-outputs", str(folder / f"n{i}.log"),
                "--logger", "zap", "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls",
                f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", everybody,
            ]  # fmt: skip
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield _leader([f"127.0.0.1:{port}" for port in clients])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _leader(addresses: list[str]) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for address in addresses:
            with suppress(grpc.RpcError):  # it is not up yet: asked again until PATIENCE is over
                if leads_etcd(address):
                    return address
        time.sleep(0.1)
    raise TimeoutError(f"no etcd at {', '.join(addresses)} led within {PATIENCE} s")


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody uses just now; a node bound to one of them a moment later may rarely find it taken."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
