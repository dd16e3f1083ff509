"""The two files on a real disk: what they say, what is mended, and what is refused and left alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftedu.core.outputs import Persist
from raftedu.core.types import Durable, Entry, HardState
from raftedu.live.disk import Disk
from raftedu.live.metadata import Metadata
from raftedu.live.storage import FileStorage, MemoryStorage, Storage, StorageError

SET = Entry(1, "SET", "x", "1", "anna", 1)
METADATA = "current_term 1\nvotedFor none\npromised 0.0\ncommitLength 0\nappliedLength 0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "logs_node_1"


def persist(hard: HardState | None = None, first: int = 0, *entries: Entry, truncates: bool = False) -> Persist:
    return Persist(1, hard, first, entries, truncates)


def opened(folder: Path, disk: Disk | None = None) -> FileStorage:
    storage = FileStorage(folder, disk=disk or Disk())
    storage.load()
    return storage


def reloaded(folder: Path) -> Durable:
    storage = FileStorage(folder)
    try:
        return storage.load()
    finally:
        storage.crash()


def found(folder: Path, log: str | bytes | None, metadata: str | bytes | None = METADATA) -> Path:
    folder.mkdir(parents=True)
    for name, content in (("logs.txt", log), ("metadata.txt", metadata)):
        if content is not None:
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def refusal(folder: Path) -> str:
    """Return why ``folder`` is refused, after a look that nothing in it was changed and that it is not locked for ever."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    storage = FileStorage(folder)
    with pytest.raises(StorageError) as refused:
        storage.load()
    for call in (storage.sync, storage.load):
        with pytest.raises(StorageError):
            call()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"} == before
    FileStorage(folder).close()
    assert "\n" not in str(refused.value)
    assert "nothing was changed" in str(refused.value)
    return str(refused.value)


# What the files say


def test_the_first_boot_is_told_apart(folder: Path) -> None:
    assert reloaded(folder) == Durable(HardState(), (), ran_before=False)
    assert reloaded(folder) == Durable(HardState(), (), ran_before=True)


def test_the_files_read_like_this(folder: Path) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(3, 0, 8.016016016016017), 1, Entry(1), Entry(3, "SET", "a b", "ü", "anna", 7)))
    storage.sync()
    storage.note(2, 1)
    storage.close()
    assert (folder / "logs.txt").read_text(encoding="utf-8") == (
        'NO-OP 1\t{"client":"","request":0}\nSET "a\\u0020b" ü 3\t{"client":"anna","request":7}\n'
    )
    assert (folder / "metadata.txt").read_text() == (
        "current_term 3\nvotedFor 0\npromised 8.016016016016017\ncommitLength 2\nappliedLength 1\n"
    )
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"logs.txt", "metadata.txt"}


@given(
    st.integers(0, 10**17),
    st.one_of(st.none(), st.integers(-(10**9), 10**9)),
    st.floats(0, 1e300, allow_nan=False),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
)
def test_metadata_comes_back_with_its_types(term: int, voted_for: int | None, promised: float, commit: int, applied: int) -> None:
    metadata = Metadata(HardState(term, voted_for, promised), commit, applied)
    again = Metadata.of(metadata.text().encode())
    assert again == metadata
    assert type(again.hard.voted_for) is type(voted_for)


@pytest.mark.parametrize("voted_for", [None, 0, 1])
def test_node_0_is_not_nobody(folder: Path, voted_for: int | None) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(1, voted_for)))
    storage.close()
    assert reloaded(folder).hard == HardState(1, voted_for)
    assert type(reloaded(folder).hard.voted_for) is type(voted_for)


def test_a_log_of_the_course_is_accepted(folder: Path) -> None:
    assert reloaded(found(folder, "NO-OP 1\nSET x 1 1\n")).entries == (Entry(1), Entry(1, "SET", "x", "1"))


def test_a_long_value_and_hard_texts_come_back(folder: Path) -> None:
    texts = ["", " ", "\t\n\r", '"', "🎉", "\u2028", "\0", "é" * 2**19]
    entries = tuple(Entry(1, "SET", text, text, text[:10], 1) for text in texts)
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, *entries))
    storage.close()
    assert reloaded(folder).entries == entries


def test_the_noted_lengths_never_exceed_the_durable_log(folder: Path) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, SET, SET, SET))
    storage.note(3, 3)
    storage.sync()
    assert Metadata.of((folder / "metadata.txt").read_bytes()) == Metadata(HardState(1), 0, 0)
    storage.write(persist(HardState(2)))
    storage.sync()
    assert Metadata.of((folder / "metadata.txt").read_bytes()) == Metadata(HardState(2), 3, 3)
    # Only a wrong rule cuts what is committed; the node must start again even so.
    storage.write(persist(None, 2, truncates=True))
    storage.sync()
    assert Metadata.of((folder / "metadata.txt").read_bytes()) == Metadata(HardState(2), 1, 1)
    storage.crash()
    assert reloaded(folder).entries == (SET,)


# How it is written


class CountingDisk(Disk):
    """The real disk, with a list of what was asked of it."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def write(self, handle: int, data: bytes) -> None:
        self.did.append(f"write {len(data)}")
        super().write(handle, data)

    def read(self, path: Path) -> bytes:
        self.did.append("read")
        return super().read(path)

    def sync_file(self, handle: int) -> None:
        self.did.append("sync file")
        super().sync_file(handle)

    def sync_folder(self, folder: Path) -> None:
        self.did.append("sync folder")
        super().sync_folder(folder)

    def replace(self, old: Path, new: Path) -> None:
        self.did.append(f"replace {new.name}")
        super().replace(old, new)


def test_a_batch_is_one_write_and_one_sync(folder: Path) -> None:
    disk = CountingDisk()
    storage = opened(folder, disk)
    storage.write(persist(HardState(1)))
    storage.sync()
    disk.did.clear()
    for index in range(1, 11):
        storage.write(persist(None, index, SET))
        storage.note(index, index)
    storage.sync()
    assert disk.did == ["write 400", "sync file"]
    disk.did.clear()
    storage.sync()
    assert disk.did == []
    for term in (2, 3, 4):
        storage.write(persist(HardState(term)))
    storage.write(persist(None, 11, Entry(4)))
    storage.sync()
    assert disk.did == ["write 75", "sync file", "replace metadata.txt", "sync folder", "write 34", "sync file"]
    storage.crash()


def test_an_append_costs_the_same_in_a_long_log(folder: Path) -> None:
    disk = CountingDisk()
    storage = opened(folder, disk)
    costs = []
    for first, count in ((1, 1), (2, 20_000), (20_002, 1)):
        disk.did.clear()
        storage.write(persist(None, first, *[SET] * count))
        storage.sync()
        costs.append(list(disk.did))
    storage.crash()
    assert costs[0] == costs[2] == ["write 40", "sync file"]


def test_a_cut_tail_is_gone_whatever_else_is_in_the_batch(folder: Path) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, *(Entry(1, "SET", "x", str(i)) for i in range(5))))
    storage.sync()
    storage.write(persist(None, 6, Entry(1, "SET", "y", "lost")))
    storage.write(persist(HardState(2), 4, Entry(2), truncates=True))
    storage.write(persist(None, 5, Entry(2, "SET", "z", "1")))
    storage.sync()
    storage.write(persist(None, 6, Entry(2, "SET", "z", "2")))
    storage.sync()
    storage.crash()
    assert [entry.words for entry in reloaded(folder).entries] == ["SET x 0", "SET x 1", "SET x 2", "NO-OP", "SET z 1", "SET z 2"]


def test_a_crash_drops_what_was_not_synced(folder: Path) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, SET))
    storage.sync()
    storage.write(persist(HardState(2), 2, SET))
    storage.crash()
    with pytest.raises(StorageError, match="has crashed"):
        storage.write(persist(HardState(3)))
    assert reloaded(folder) == Durable(HardState(1), (SET,), True)


@pytest.mark.parametrize(
    "bad",
    [
        persist(None, 3, SET),
        persist(None, 1, Entry(1, "SET", "\ud800", "1")),
        persist(HardState(1, None, float("inf"))),
        persist(HardState(1, "1"), 1, SET),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_again_is_refused_whole_and_breaks_nothing(folder: Path, bad: Persist) -> None:
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, SET))
    with pytest.raises(StorageError, match="is refused, nothing of it was kept"):
        storage.write(bad)
    storage.close()
    assert reloaded(folder) == Durable(HardState(1), (SET,), True)


def test_both_storages_have_the_same_face() -> None:
    faces: list[type[Storage]] = [FileStorage, MemoryStorage]
    names = {name for name in vars(Storage) if not name.startswith("_")}
    assert all(names <= set(dir(face)) for face in faces)


# What is mended


@pytest.mark.parametrize("cut", range(1, len('SET ü "" 1\t{"client":"","request":0}'.encode()) + 1))
def test_a_torn_last_line_is_cut_off(folder: Path, cut: int) -> None:
    torn = 'SET ü "" 1\t{"client":"","request":0}\n'.encode()[:cut]
    found(folder, b"SET x 1 1\n" + torn)
    assert reloaded(folder).entries == (Entry(1, "SET", "x", "1"),)
    assert (folder / "logs.txt").read_bytes() == b"SET x 1 1\n"
    storage = opened(folder)
    storage.write(persist(None, 2, SET))
    storage.close()
    assert reloaded(folder).entries == (Entry(1, "SET", "x", "1"), SET)


def test_leftover_temporary_files_are_removed(folder: Path) -> None:
    found(folder, "SET x 1 1\n")
    for name in ("logs.txt.new", "metadata.txt.new"):
        (folder / name).write_text("half a")
    (folder / "dump.txt").write_text("somebody else's")
    assert len(reloaded(folder).entries) == 1
    assert {path.name for path in folder.iterdir()} - {".lock"} == {"logs.txt", "metadata.txt", "dump.txt"}


def test_a_first_boot_that_was_interrupted_is_a_first_boot(folder: Path) -> None:
    assert reloaded(found(folder, "", None)) == Durable(HardState(), (), False)


# What is refused


@pytest.mark.parametrize(
    ("log", "metadata", "says"),
    [
        ("SET x 1 1\nSET x\nSET x 2 1\n", METADATA, "logs.txt, line 2: 'SET x' is none of"),
        ("SET x 1 1\n\n", METADATA, "logs.txt, line 2: '' is none of"),
        (b"SET x 1 1\n\0\0\0\0\nSET x 2 1\n", METADATA, "logs.txt, line 2: "),
        (b"SET x \xff 1\n", METADATA, "logs.txt, line 1: byte 7 is no UTF-8"),
        ("NO-OP 1\nNO-OP 0\n", METADATA, "logs.txt, line 2: term 0 follows term 1"),
        ("NO-OP 1\nNO-OP 2\n", METADATA, "metadata.txt, line 1: current_term is 1, but the last entry of logs.txt is of term 2"),
        ("NO-OP 1\n", METADATA.replace("commitLength 0", "commitLength 2"), "metadata.txt, line 4: commitLength is 2"),
        ("NO-OP 1\nNO-", METADATA.replace("commitLength 0", "commitLength 2"), "has only 1 whole lines"),
        ("NO-OP 1\n", None, "metadata.txt is missing"),
        ("NO-", None, "metadata.txt is missing"),
        (None, METADATA, "logs.txt is missing"),
        ("", "", "metadata.txt, line 1: '' stands where 'current_term …' belongs"),
        ("", '{"current_term": 1}\n', "metadata.txt, line 1: "),
        ("", METADATA[:-1], "metadata.txt, line 6: "),
        ("", METADATA + "more\n", "metadata.txt, line 6: "),
        ("", METADATA.replace("none", "None"), "metadata.txt, line 2: 'None' is neither a node's number nor 'none'"),
        ("", METADATA.replace("0.0", "nan"), "metadata.txt, line 3: 'nan' is no duration"),
        ("", METADATA.replace("term 1", "term -1"), "metadata.txt, line 1: '-1' is no whole number"),
        ("", METADATA.replace("\n", "\r\n"), "metadata.txt, line 1: "),
        ("", b"\xff\xfe\0", "metadata.txt, line 1: "),
    ],
)
def test_damage_is_named_and_left_alone(folder: Path, log: str | bytes | None, metadata: str | bytes | None, says: str) -> None:
    assert says in refusal(found(folder, log, metadata))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "logs_node_1").write_text("I am a file")
    for folder in (tmp_path / "logs_node_1", tmp_path / "logs_node_1" / "below"):
        with pytest.raises(StorageError, match=r"logs_node_1.* cannot be opened: .*; choose another folder"):
            FileStorage(folder)
    assert (tmp_path / "logs_node_1").read_text() == "I am a file"


class UnreadableDisk(Disk):
    """A disk on which this user may do nothing (tests may run as root, whom no mode of a file stops)."""

    def names(self, folder: Path) -> set[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def test_an_unreadable_folder_is_one_clear_line(folder: Path) -> None:
    storage = FileStorage(folder, disk=UnreadableDisk())
    with pytest.raises(StorageError) as refused:
        storage.load()
    assert (
        str(refused.value)
        == f"{folder} cannot be recovered: Permission denied; choose another folder, or allow this user to read and write there"
    )


class FailingDisk(Disk):
    """A disk whose ``failing`` operation fails."""

    failing = ""

    def write(self, handle: int, data: bytes) -> None:
        super().write(handle, data[: len(data) // 2] if self.failing == "write" else data)
        self._fail("write", errno.ENOSPC)

    def sync_file(self, handle: int) -> None:
        self._fail("sync_file", errno.EIO)

    def replace(self, old: Path, new: Path) -> None:
        self._fail("replace", errno.EROFS)
        super().replace(old, new)

    def sync_folder(self, folder: Path) -> None:
        self._fail("sync_folder", errno.EIO)

    def _fail(self, name: str, code: int) -> None:
        if name == self.failing:
            raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("failing", ["write", "sync_file", "replace", "sync_folder"])
@pytest.mark.parametrize(
    "change",
    [persist(HardState(2)), persist(None, 2, SET), persist(HardState(2), 1, Entry(2), truncates=True)],
    ids=["vote", "append", "cut"],
)
def test_after_a_failure_the_storage_is_broken_for_good(folder: Path, failing: str, change: Persist) -> None:
    disk = FailingDisk()
    storage = opened(folder, disk)
    storage.write(persist(HardState(1), 1, SET))
    storage.sync()
    disk.failing = failing
    storage.write(change)
    if change.first == 2 and failing in ("replace", "sync_folder"):
        storage.sync()  # an append does neither
        return
    with pytest.raises(StorageError, match=r"cannot be written: .*; the first [01] entries of logs.txt are safe; mend the disk") as first:
        storage.sync()
    disk.failing = ""
    for call in (storage.sync, lambda: storage.write(change), lambda: storage.note(1, 1), storage.load):
        with pytest.raises(StorageError) as later:
            call()
        assert str(later.value) == str(first.value)
    storage.close()
    hard = change.hard or HardState(1)
    assert reloaded(folder) in [Durable(h, entries, True) for h in (HardState(1), hard) for entries in ((SET,), (SET, SET), change.entries)]


# One process at a time


def test_a_second_storage_in_this_process_is_refused(folder: Path) -> None:
    storage = opened(folder)
    with pytest.raises(StorageError) as refused:
        FileStorage(folder)
    assert str(refused.value) == f"{folder}: another node runs on this folder; stop it, or choose another folder"
    storage.close()
    storage.close()
    FileStorage(folder).close()


CHILD = """
import sys
from pathlib import Path
from raftedu.core.outputs import Persist
from raftedu.core.types import Entry, HardState
from raftedu.live.storage import FileStorage
storage = FileStorage(Path(sys.argv[1]))
storage.load()
storage.write(Persist(1, HardState(1), 1, (Entry(1),), False))
storage.sync()
storage.write(Persist(2, HardState(2), 2, (Entry(2),), False))
print("synced", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_second_process_is_refused_until_the_first_is_killed(folder: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    with child, child.stdin, child.stdout:
        assert child.stdout.readline() == "synced\n"
        with pytest.raises(StorageError, match="another node runs on this folder"):
            FileStorage(folder)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert reloaded(folder) == Durable(HardState(1), (Entry(1),), True)


# Systems that have less


def test_it_works_where_posix_calls_are_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fdatasync", raising=False)
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    storage = opened(folder)
    storage.write(persist(HardState(1), 1, SET, SET))
    storage.sync()
    storage.write(persist(None, 2, truncates=True))
    storage.close()
    assert reloaded(folder) == Durable(HardState(1), (SET,), True)


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_a_folder_is_used_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails: bool
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", fsync)
    if fails:
        with pytest.raises(OSError):
            Disk().sync_folder(folder)
    else:
        Disk().sync_folder(folder)
