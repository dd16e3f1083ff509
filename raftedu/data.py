"""Where the recorded traces and the notebooks are: in the installed package, or in the source tree of an editable install."""

from __future__ import annotations

from pathlib import Path

__all__ = ["data_path"]

_PACKAGE = Path(__file__).resolve().parent


def data_path(kind: str) -> Path:
    """Return the folder of packaged data of a kind, ``"traces"`` or ``"notebooks"``."""
    places = (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"raftedu was installed without its {kind} (looked in {places[0]} and {places[1]}); install it anew")
