"""``python -m raftedu`` is the command ``raftedu``."""

from __future__ import annotations

from raftedu.cli import main

if __name__ == "__main__":
    main(prog_name="raftedu")
