"""raftedu: Raft with leader leases, to run, to break and to look at.

One pure core (`raftedu.core`) drives real nodes and everything else; what happens is written to dump.txt, and every picture
is made from that. Importing this package loads neither grpc nor matplotlib nor pandas; a name is loaded when it is first used.

Run
    ``Cluster``, ``Client``, ``Simulation``, ``Config``, ``RULES``
Read
    ``read_dump``, ``load_trace``, ``Trace``
Check
    ``rule``, ``check``, ``Report``
Look
    ``plot_leases``, ``plot_roles``, ``plot_story``
Errors
    ``ConfigError``, ``RuleError``, ``DumpError``, ``StorageError``, ``LiveError``, ``SimulationError``, ``RequestFailed``
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Client": "live.client",
    "Cluster": "live.cluster",
    "Config": "core.config",
    "ConfigError": "core.config",
    "DumpError": "events",
    "LiveError": "live.service",
    "RULES": "core.rules",
    "Report": "checker",
    "RequestFailed": "core.asking",
    "RuleError": "core.guard",
    "Rules": "core.rules",
    "Simulation": "sim.simulation",
    "SimulationError": "sim.world",
    "StorageError": "live.storage",
    "Trace": "trace",
    "check": "checker",
    "load_trace": "trace",
    "plot_leases": "plot",
    "plot_roles": "plot",
    "plot_story": "plot",
    "read_dump": "trace",
    "rule": "checker.stub",
}
"""Where each public name lives."""

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'raftedu' has no attribute {name!r}")
    value = getattr(import_module(f"raftedu.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
