"""cluster.toml: where the nodes of a cluster are, and what they agree on. All nodes and clients read the same file.

It reads and judges one file, and knows nothing of what is done with it. Whatever is wrong is a `ConfigError` of one line that
names the file and the key.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from raftedu.core.config import Config, ConfigError
from raftedu.core.types import NodeId

__all__ = ["Peers", "check_address", "example_toml", "read_peers"]

_TIMING = ("lease", "heartbeat", "election_min", "election_max", "rho", "pace")
_DEFAULTS = {field.name: field.default for field in fields(Config) if field.name != "nodes"} | {"pace": 1.0}
_OPTIONS = tuple(name for name in _DEFAULTS if name not in _TIMING)
_SECTIONS = {"nodes": (), "timing": _TIMING, "options": _OPTIONS}
_KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text in quotes"}


class Peers(NamedTuple):
    """What cluster.toml says: each node's ``host:port``, the `Config`, and the wall seconds in a protocol second."""

    addresses: dict[NodeId, str]
    config: Config
    pace: float


def read_peers(path: str | Path) -> Peers:
    """Return what a cluster.toml says.

    Raises
    ------
    ConfigError
        The file cannot be read, or something in it is wrong; the message is one line and names the file and the key.
    """
    try:
        document = tomllib.loads(_text(Path(path)))
        return _peers(document)
    except (ConfigError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def example_toml(nodes: int = 5, port: int = 50051) -> str:
    """Return a cluster.toml for nodes on this machine.

    Examples
    --------
    >>> print(example_toml(2))  # doctest: +ELLIPSIS
    # All nodes and clients of a cluster read the same file.
    <BLANKLINE>
    [nodes]                     # id = "host:port"
    1 = "127.0.0.1:50051"
    2 = "127.0.0.1:50052"
    <BLANKLINE>
    [timing]                    # in seconds
    lease = 8.0                 # ...
    """
    lines = [f'{node} = "127.0.0.1:{port + node - 1}"' for node in range(1, nodes + 1)]
    return _EXAMPLE.replace("{nodes}", "\n".join(lines))


_EXAMPLE = """\
# All nodes and clients of a cluster read the same file.

[nodes]                     # id = "host:port"
{nodes}

[timing]                    # in seconds
lease = 8.0                 # how long a leader may answer GET alone after the last round that a majority answered
heartbeat = 1.0             # between two heartbeats, each of which renews the lease
election_min = 5.0          # a follower waits between these two for its leader before it campaigns
election_max = 10.0
pace = 1.0                  # wall seconds in each second above; 0.1 plays everything ten times as fast
"""


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file; `raftedu node --example > cluster.toml` writes one to begin with") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    # What a shell or an editor of Windows writes begins with a mark that TOML does not know.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start} is not UTF-8: save the file as UTF-8") from error


def _peers(document: Mapping[str, Any]) -> Peers:
    for name, value in document.items():
        if name not in _SECTIONS:
            raise ConfigError(f"there is no section [{name}]; the sections are [nodes], [timing] and [options]{_hint(name, _SECTIONS)}")
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} must be a section: write [{name}] on a line of its own")
    addresses = _addresses(document.get("nodes", {}))
    settings = _settings(document, "timing") | _settings(document, "options")
    pace = settings.pop("pace", 1.0)
    if not 0 < pace < float("inf"):
        raise ConfigError(f"[timing] pace = {pace} must be a positive number of wall seconds in a protocol second")
    return Peers(addresses, Config(tuple(addresses), **settings), pace)


def _addresses(section: Mapping[str, Any]) -> dict[NodeId, str]:
    addresses: dict[NodeId, str] = {}
    for key, value in section.items():
        if not (key.isascii() and key.isdigit()):
            raise ConfigError(f'[nodes] {key}: ids are whole numbers from 0, as in 1 = "127.0.0.1:50051"')
        node = int(key)
        if node in addresses:
            raise ConfigError(f"[nodes] {key}: node {node} is named twice")
        if value in addresses.values():
            raise ConfigError(f"[nodes] {key} = {value!r}: another node has this address already")
        addresses[node] = check_address(value, f"[nodes] {key}")
    if not addresses:
        raise ConfigError('[nodes] names no node; write a line such as 1 = "127.0.0.1:50051" for each')
    return addresses


def check_address(value: Any, where: str) -> str:
    """Return the address if it is a ``host:port``, or raise a `ConfigError` that begins with ``where``."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not host or not is_port or any(char.isspace() for char in host) or (":" in host and not host.startswith("[")):
        raise ConfigError(f'{where} = {value!r} must be a "host:port" with a port from 1 to 65535')
    return str(value)


def _settings(document: Mapping[str, Any], section: str) -> dict[str, Any]:
    known = _SECTIONS[section]
    found: dict[str, Any] = {}
    for key, value in document.get(section, {}).items():
        if key not in known:
            elsewhere = [name for name, keys in _SECTIONS.items() if key in keys]
            advice = f"; it belongs into [{elsewhere[0]}]" if elsewhere else f"; known are {', '.join(known)}{_hint(key, known)}"
            raise ConfigError(f"[{section}] {key}: there is no such setting here{advice}")
        found[key] = _typed(section, key, value)
    return found


def _typed(section: str, key: str, value: Any) -> Any:
    kind = type(_DEFAULTS[key])
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"[{section}] {key} = {value!r} must be {_KINDS[kind]}")
    return value


def _hint(word: str, known: Any) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f" (do you mean {close[0]}?)" if close else ""
