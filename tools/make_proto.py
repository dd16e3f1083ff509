"""Write the package's own stubs, ``raftedu/live/proto/``, from ``node.proto``. `make proto` runs this.

It knows protoc and text, and nothing of raftedu: it must work before the package can be imported.

Stubs made at the root, as the head of ``node.proto`` says, and ours must live in one process, and protobuf's pool of
descriptors takes no file name and no message name twice. So ours are made from a copy with another file name and another
proto package. Neither is ever on the wire, except in the paths of the methods; there the name is put back, so
that a node on root-made stubs and one of ours understand each other.

The generator is old on purpose: stubs run on the protobuf that they were made for and every newer one, never on an older.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = Path("raftedu/live/proto")
GENERATOR = "1.71.0"
WIRE_PACKAGE = "raftedu"
OUR_PACKAGE = "raftedu.live.proto"


def main() -> int:
    """Return 0 after the stubs were written, 1 with one line of explanation otherwise; ``--generator`` only names the version."""
    if sys.argv[1:] == ["--generator"]:
        print(GENERATOR)
        return 0
    problem = wrong_generator()
    if problem:
        print(f"make_proto: {problem}", file=sys.stderr)
        return 1
    source = (ROOT / "node.proto").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        for path in generate(renamed(source), Path(scratch)):
            text = header(source) + with_wire_paths(path.read_text(encoding="utf-8"))
            (ROOT / OUT / path.name).write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {(OUT / path.name).as_posix()}")
    return 0


def wrong_generator() -> str:
    """Return what is wrong with the installed grpcio-tools, or an empty string."""
    try:
        found = version("grpcio-tools")
    except PackageNotFoundError:
        found = "none"
    return "" if found == GENERATOR else f"needs grpcio-tools {GENERATOR}, found {found}: run `make proto`, which installs it apart"


def renamed(source: str) -> str:
    """Return the text of node.proto with our own proto package."""
    text, count = re.subn(rf"^package {WIRE_PACKAGE};$", f"package {OUR_PACKAGE};", source, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"make_proto: node.proto must say `package {WIRE_PACKAGE};` on one line of its own, once")
    return text


def generate(source: str, scratch: Path) -> list[Path]:
    """Return the files that protoc writes for ``source``, laid out so that they import each other as parts of raftedu."""
    proto = scratch / OUT / "node.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text(source, encoding="utf-8")
    outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python", "pyi")]
    done = subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{scratch}", *outputs, str(proto)], check=False)
    if done.returncode:
        raise SystemExit("make_proto: protoc refuses node.proto, it says why above; the stubs are as they were")
    return sorted(path for path in proto.parent.iterdir() if path.suffix in (".py", ".pyi"))


def with_wire_paths(text: str) -> str:
    """Return the stubs with the methods' paths as a stub made at the root has them."""
    return text.replace(f"{OUR_PACKAGE}.Raft/", f"{WIRE_PACKAGE}.Raft/").replace(f"'{OUR_PACKAGE}.Raft'", f"'{WIRE_PACKAGE}.Raft'")


def header(source: str) -> str:
    """Return the first lines of every generated file: how it was made, and from what."""
    digest = hashlib.sha256(source.encode("utf-8")).hexdigest()
    return f"# Made by `make proto` (tools/make_proto.py, grpcio-tools {GENERATOR}); do not edit.\n# node.proto sha256 {digest}\n"


if __name__ == "__main__":
    raise SystemExit(main())
