"""The few things that the storage asks of an operating system, each a method, so that tests can put a worse disk in its place.

This module knows files and folders. It knows nothing of nodes, entries or file formats, and it decides nothing: every
`OSError` goes to the caller.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["OS_DISK", "Disk", "FolderInUse"]

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would turn \n into \r\n without it


class FolderInUse(Exception):
    """Somebody else holds the lock of a folder."""


class Disk:
    """The real disk. A handle is whatever `open_append` and `create` return; it is only ever given back to the same disk."""

    def exists(self, path: Path) -> bool:
        """Return whether something stands at ``path``."""
        return path.exists()

    def may_write(self, folder: Path) -> bool:
        """Return whether this user may make a name in ``folder``."""
        return os.access(folder, os.W_OK)

    def names(self, folder: Path) -> set[str]:
        """Return the names of all that stands in ``folder``."""
        return set(os.listdir(folder))

    def read(self, path: Path) -> bytes:
        """Return the whole content of a file."""
        return path.read_bytes()

    def make_folder(self, folder: Path) -> None:
        """Make one folder, whose parent exists, unless another thread or process just did."""
        folder.mkdir(exist_ok=True)

    def open_append(self, path: Path) -> int:
        """Return a handle that writes at the end of ``path``; the file is made if there is none."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o644)

    def create(self, path: Path) -> int:
        """Return a handle to ``path``, which is empty now, whatever it held."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o644)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of ``data``. The system may take it in pieces; a full disk shows at the second piece."""
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]

    def truncate(self, handle: int, size: int) -> None:
        """Cut a file after ``size`` bytes."""
        os.ftruncate(handle, size)

    def sync_file(self, handle: int) -> None:
        """Return once the content and the size of the file are durable."""
        getattr(os, "fdatasync", os.fsync)(handle)

    def close(self, handle: int) -> None:
        """Give a handle back."""
        os.close(handle)

    def replace(self, old: Path, new: Path) -> None:
        """Give ``old`` the name ``new`` in one step; what ``new`` was is gone."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Return once all new, changed and removed names in ``folder`` are durable."""
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows gives no handle to a folder; NTFS keeps its names in a journal
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some network file systems have no such call: there the name is as durable as it ever gets.
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)

    def lock(self, path: Path) -> Callable[[], None]:
        """Take the lock file ``path`` and return how to release it. It is free again when this process dies, however it dies.

        Raises
        ------
        FolderInUse
            This or another process holds it.
        """
        # The thread that opens a storage need not be the one that closes it, hence thread_local.
        lock = FileLock(path, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise FolderInUse(str(path)) from error
        return lock.release


OS_DISK = Disk()
