"""The simulator: the same nodes as in `raftedu.live`, in virtual time and from one seed, with every fault one can think of.

Names are loaded when they are first used: the checker runs a `World` without the pandas that `Simulation.trace` needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {"Script": "script", "Simulation": "simulation", "SimulationError": "world", "UTC_ZERO": "world", "World": "world"}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'raftedu.sim' has no attribute {name!r}")
    return getattr(import_module(f"raftedu.sim.{_HOME[name]}"), name)
