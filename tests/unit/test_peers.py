"""cluster.toml: what it says, and one clear line for every mistake in it."""

from __future__ import annotations

import pytest

from raftedu.core.config import Config, ConfigError
from raftedu.live.peers import example_toml, read_peers

NODES = '[nodes]\n1 = "127.0.0.1:50051"\n2 = "127.0.0.1:50052"\n3 = "host.example:50053"\n'


def written(tmp_path, text: str | bytes):
    path = tmp_path / "cluster.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_example_is_a_cluster_with_the_default_settings(tmp_path):
    peers = read_peers(written(tmp_path, example_toml()))
    assert peers.addresses == {node: f"127.0.0.1:{50050 + node}" for node in range(1, 6)}
    assert peers.config == Config.of(5)
    assert peers.pace == 1.0


def test_settings_of_both_sections_are_read(tmp_path):
    text = NODES + "[timing]\nlease = 4\npace = 0.5\n"
    text += "[options]\nlease_policy = 'deferred-commit'\nbatch_size = 1\nno_op_on_election = false\n"
    peers = read_peers(written(tmp_path, text))
    assert peers.config == Config.of(3, lease=4.0, lease_policy="deferred-commit", batch_size=1, no_op_on_election=False)
    assert peers.pace == 0.5
    assert type(peers.config.lease) is float


def test_node_0_and_ipv6_are_fine(tmp_path):
    assert read_peers(written(tmp_path, '[nodes]\n0 = "[::1]:7000"\n7 = "h:7001"')).addresses == {0: "[::1]:7000", 7: "h:7001"}


@pytest.mark.parametrize(
    "encode", [lambda t: t.encode("utf-8-sig"), lambda t: t.encode("utf-16"), lambda t: t.replace("\n", "\r\n").encode()]
)
def test_what_windows_writes_is_read(tmp_path, encode):
    assert len(read_peers(written(tmp_path, encode(NODES))).addresses) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["[nodes]", "names no node"]),
        ("nodes = 3", ["nodes", "[nodes]"]),
        (NODES + "4 = 'nowhere'", ["[nodes] 4", "'nowhere'", "host:port"]),
        (NODES + "4 = 'h:99999'", ["[nodes] 4", "65535"]),
        (NODES + "4 = 'h:'", ["[nodes] 4", "host:port"]),
        (NODES + "4 = '::1:80'", ["[nodes] 4", "host:port"]),
        (NODES + "4 = 50054", ["[nodes] 4", "50054"]),
        (NODES + "four = 'h:1'", ["[nodes] four", "whole numbers"]),
        (NODES + "-1 = 'h:1'", ["[nodes] -1", "whole numbers"]),
        (NODES + "01 = 'h:1'", ["[nodes] 01", "twice"]),
        (NODES + "4 = '127.0.0.1:50051'", ["[nodes] 4", "already"]),
        (NODES + "[timings]\nlease = 8", ["[timings]", "do you mean timing?"]),
        (NODES + "[timing]\nleese = 8", ["[timing] leese", "do you mean lease?"]),
        (NODES + "[timing]\nbatch_size = 8", ["[timing] batch_size", "belongs into [options]"]),
        (NODES + "[timing]\nlease = 'long'", ["[timing] lease", "'long'", "a number"]),
        (NODES + "[timing]\nlease = true", ["[timing] lease", "a number"]),
        (NODES + "[options]\nbatch_size = 1.5", ["[options] batch_size", "a whole number"]),
        (NODES + "[options]\nread_mode = 'fast'", ["read_mode='fast'", "unsafe"]),
        (NODES + "[timing]\nheartbeat = 6", ["heartbeat=6.0", "election_min=5.0"]),
        (NODES + "[timing]\npace = 0", ["[timing] pace", "positive"]),
        (NODES + "[timing]\npace = nan", ["[timing] pace", "positive"]),
        (NODES + "[timing\n", ["line 5"]),
        (b"\xff\xfe\x00", ["UTF-8"]),
        (b"a = '\xe9'", ["byte 5", "UTF-8"]),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        read_peers(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_file_that_is_not_there_says_how_to_begin(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file; `raftedu node --example > cluster\.toml`"):
        read_peers(tmp_path / "cluster.toml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_peers(tmp_path)
