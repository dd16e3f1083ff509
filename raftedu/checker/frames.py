"""Frames of bytes on a pipe, each behind its length: how a check's process and its parent talk to each other."""

from __future__ import annotations

import struct
from typing import IO

__all__ = ["receive", "send"]

_LENGTH = struct.Struct("<Q")


def send(pipe: IO[bytes], frame: bytes) -> None:
    """Write one frame and flush it."""
    pipe.write(_LENGTH.pack(len(frame)) + frame)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Return the next frame, pickled as it is: what a stranger's pickle does when it is read is for the caller to bear.

    Raises
    ------
    EOFError
        The other side is gone, or ended in the middle of a frame.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("the pipe is closed")
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    if len(body) < length:
        raise EOFError("the pipe was closed in the middle of a frame")
    return body
