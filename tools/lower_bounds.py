"""Print the oldest version that ``pyproject.toml`` allows of each dependency, as constraints for pip. `make lower-bounds` runs this.

``protobuf>=5.29`` becomes ``protobuf==5.29.*``: the oldest series, with its last corrections.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def oldest(requirement: str) -> str:
    """Return the constraint that holds a requirement of the form ``name>=X.Y`` to its oldest series."""
    match = re.fullmatch(r"([a-z0-9-]+)>=(\d+\.\d+(?:\.\d+)?)", requirement)
    if match is None:
        raise SystemExit(f"lower_bounds: {requirement!r} in pyproject.toml is not of the form name>=X.Y or name>=X.Y.Z")
    return f"{match[1]}=={match[2]}.*"


if __name__ == "__main__":
    for dependency in tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]:
        print(oldest(dependency))
