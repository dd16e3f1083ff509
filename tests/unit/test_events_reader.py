"""Finding dumps, and telling a sound line from a torn, damaged or foreign one."""

from __future__ import annotations

import pytest

from raftedu.events import DumpError
from raftedu.events.reader import HEADER, find_damage, find_dumps, last_line, parse_facts, parse_line, read_lines

LINE = b"1.500000\t1\t1\t2\tfollower\tappend_accepted\t2\t7\tNode 1 accepted AppendEntries RPC from 2.\t{}\n"


@pytest.fixture
def run(tmp_path):
    """The folder of a run of eleven nodes."""
    for node in range(1, 12):
        folder = tmp_path / "run" / f"logs_node_{node}"
        folder.mkdir(parents=True)
        (folder / "dump.txt").write_bytes(HEADER + LINE)
    return tmp_path / "run"


def names(dumps):
    return [dump.parent.name for dump in dumps]


def test_a_runs_folder_gives_its_nodes_in_the_order_of_their_ids(run):
    assert names(find_dumps(run)) == [f"logs_node_{node}" for node in range(1, 12)]


def test_a_pattern_a_folder_a_file_and_a_list_of_them(run):
    assert names(find_dumps(str(run / "logs_node_*"))) == [f"logs_node_{node}" for node in range(1, 12)]
    assert names(find_dumps(str(run / "logs_node_1?" / "dump.txt"))) == ["logs_node_10", "logs_node_11"]
    assert names(find_dumps(run / "logs_node_3")) == ["logs_node_3"]
    assert names(find_dumps(run / "logs_node_3" / "dump.txt")) == ["logs_node_3"]
    assert names(find_dumps([run / "logs_node_3", str(run / "logs_node_2")])) == ["logs_node_3", "logs_node_2"]


def test_a_file_named_twice_is_read_once(run):
    assert names(find_dumps([run / "logs_node_3", run / "logs_node_3" / "dump.txt", str(run / "logs_node_3*")])) == ["logs_node_3"]


def test_a_folder_with_brackets_in_its_name_is_no_pattern(run):
    odd = run.rename(run.parent / "run [1]")
    assert len(find_dumps(str(odd))) == 11


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "there is no such file or folder; give the folder of a run"),
        ("logs_other_*", "nothing matches; give the folder of a run"),
        (".", r"no dump.txt in this folder \(looked for dump.txt and logs_node_\*/dump.txt\)"),
        ("ru?", "1 matches, none with a dump.txt"),
    ],
)
def test_what_is_not_there_is_one_clear_line(tmp_path, name, words):
    (tmp_path / "run").mkdir()
    with pytest.raises(DumpError, match=words) as caught:
        find_dumps(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_an_empty_list_names_nothing():
    with pytest.raises(DumpError, match="no dump.txt was named"):
        find_dumps([])


def test_a_torn_last_line_is_dropped_with_a_warning(tmp_path):
    path = tmp_path / "dump.txt"
    path.write_bytes(HEADER + LINE + LINE[:-1])
    with pytest.warns(UserWarning, match="the last line is torn"):
        assert read_lines(path) == LINE
    assert last_line(path) == (len(HEADER + LINE), LINE)


def test_a_file_that_went_through_windows_is_read(tmp_path):
    path = tmp_path / "dump.txt"
    path.write_bytes((HEADER + LINE).replace(b"\n", b"\r\n"))
    assert parse_line(read_lines(path), path, 2) == LINE.decode().rstrip("\n").split("\t")
    assert find_damage(path) is None


def test_an_empty_file_has_no_lines(tmp_path):
    path = tmp_path / "dump.txt"
    path.write_bytes(b"")
    assert read_lines(path) == b""
    path.write_bytes(HEADER)
    assert read_lines(path) == b""


def test_another_programs_file_is_refused(tmp_path):
    path = tmp_path / "dump.txt"
    path.write_text("Node 1 became the leader for term 1.\n")
    with pytest.raises(DumpError, match="dump.txt, line 1: the first line is not the header of a raftedu dump.txt"):
        read_lines(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"\t{}", b"", "9 tab-separated columns instead of 10"),
        (b"{}", b"{}\t", "11 tab-separated columns instead of 10"),
        (b"1.500000", b"soon", "column 'time' holds 'soon', which is not a number of seconds"),
        (b"1.500000", b"nan", "column 'time' holds 'nan', which is not a number of seconds"),
        (b"\t1\t1\t2", b"\t-1\t1\t2", "column 'seq' holds '-1', which is not a whole number from 0"),
        (b"\t1\t1\t2", b"\t1\tx\t2", "column 'node' holds 'x'"),
        (b"\t1\t1\t2", b"\t1\t1\t", "column 'term' holds ''"),
        (b"follower", b"", "column 'role' holds '', which is not a word of small letters"),
        (b"\t2\t7\t", b"\tNone\t7\t", "column 'peer' holds 'None', which is not a whole number from 0, or empty"),
        (b"\t2\t7\t", b"\t2\t7.5\t", "column 'index' holds '7.5'"),
        (b"{}", b"nothing", "column 'facts' holds 'nothing', which is not a JSON object"),
        (b"Node 1", b"Node \r 1", "a carriage return within the line"),
        (b"Node 1", b"Node \xff 1", "this is not UTF-8"),
        (LINE, b"\n", "1 tab-separated columns instead of 10"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, old, new, words):
    path = tmp_path / "dump.txt"
    path.write_bytes(HEADER + LINE + LINE.replace(old, new, 1) + LINE)
    error = find_damage(path)
    assert error is not None
    assert str(error).startswith(f"{path}, line 3: ")
    assert words in str(error)
    assert (error.path, error.line) == (path, 3)


def test_facts_that_are_no_json_object_name_their_line(tmp_path):
    assert parse_facts('{"a":1}', None, None) == {"a": 1}
    with pytest.raises(DumpError, match="dump.txt, line 7: the facts are not JSON"):
        parse_facts("{a}", tmp_path / "dump.txt", 7)
    with pytest.raises(DumpError, match="the facts are not a JSON object"):
        parse_facts("[1]", tmp_path / "dump.txt", 7)
