"""``python -m raftedu`` is the command ``raftedu``."""

from __future__ import annotations

from raftedu.cli import main

main()
