"""The reading process: takes files on its standard input, answers with values. Started by :mod:`documents.sandbox`.

It has no secrets in its environment, may open few files and write none, and dies rather than exceed its limits.
"""

import base64
import contextlib
import json
import os
import struct
import sys
from typing import Any, BinaryIO

from documents.archives import unpack
from documents.opening import Cause, UnreadableWorkbook, open_workbook
from documents.sheets import as_plain

try:
    import resource
except ImportError:  # Windows: the time limit of the parent is all there is
    resource = None  # type: ignore[assignment]

HEAD = struct.Struct(">cQ")  # what to do, and how many bytes follow
SIZE = struct.Struct(">Q")
OPEN, UNPACK = b"o", b"u"
MEGABYTE = 1024 * 1024


def main() -> None:
    """Serve until the parent closes the pipe, or until it is time for a fresh process."""
    memory_mb, cpu_s, served_at_most = (int(a) for a in sys.argv[1:4])
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints does not get into the answers
    _limit(memory_mb)
    grown_mb = _peak_mb() + memory_mb // 2
    for served in range(1, served_at_most + 1):
        head = source.read(HEAD.size)
        if len(head) < HEAD.size:
            return
        what, size = HEAD.unpack(head)
        _allow_cpu(cpu_s)
        answer = _answer(what, source.read(size))
        answer["last"] = served == served_at_most or bool(answer.get("last")) or _peak_mb() > grown_mb
        _write(sink, answer)
        if answer["last"]:
            return


def _answer(what: bytes, data: bytes) -> dict[str, Any]:
    try:
        if what == UNPACK:
            return {"files": [[p.name, base64.b64encode(p.content).decode()] for p in unpack(data)]}
        return {"book": as_plain(open_workbook(data))}
    except UnreadableWorkbook as error:
        return {"cause": str(error.cause), "reason": str(error)[:500]}
    except MemoryError:
        return {"cause": str(Cause.TOO_LARGE), "reason": "it needs more memory than a form may", "last": True}
    except Exception as error:  # noqa: BLE001  whatever a file can break, the answer says so
        return {"cause": str(Cause.BROKEN), "reason": f"{type(error).__name__}: {error}"[:500], "last": True}


def _write(sink: BinaryIO, answer: dict[str, Any]) -> None:
    content = json.dumps(answer).encode()
    sink.write(SIZE.pack(len(content)) + content)
    sink.flush()


def _limit(memory_mb: int) -> None:
    if resource is None:
        return
    for what, value in (
        (resource.RLIMIT_AS, (_mapped_mb() + memory_mb) * MEGABYTE),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(what, (value, value))


def _mapped_mb() -> int:
    try:
        with open("/proc/self/statm", "rb") as f:  # noqa: PTH123  pathlib is not worth its import here
            return int(f.read().split()[0]) * resource.getpagesize() // MEGABYTE
    except OSError:
        return 512


def _allow_cpu(seconds: int) -> None:
    """Let the file at hand have so many seconds of CPU; the limit itself counts the whole life of the process."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds + 1
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _peak_mb() -> int:
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
