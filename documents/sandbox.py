"""Files from outside are opened in processes of their own, with little memory and little time.

A few are kept warm, so that a workbook costs little more than reading it here. One that dies over a file, or takes
too long, is replaced; the file is then unreadable, and nothing else has happened.
"""

import atexit
import base64
import json
import os
import subprocess
import sys
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from threading import BoundedSemaphore, Lock, Timer
from typing import Any

from documents.archives import Packed
from documents.child import HEAD, OPEN, SIZE, UNPACK
from documents.opening import Cause, UnreadableWorkbook
from documents.sheets import Book, from_plain

OPENED_AHEAD = 32
UNPACKED_AHEAD = 2  # they may be large
MAX_FILE = 30 * 1024 * 1024
MAX_ANSWER = 120 * 1024 * 1024
SERVED_AT_MOST = 500  # files, then a fresh process
MEMORY_MB = 384  # beyond what the empty process takes
CPU_S = 10
WALL_S = 30.0  # where two cores serve sixteen clients, a file waits longer than it computes
HOUSE = Path(__file__).parent.parent


class _Worker:
    """One reading process."""

    def __init__(self, memory_mb: int, cpu_s: int) -> None:
        command = [sys.executable, "-X", "utf8", "-m", "documents.child", str(memory_mb), str(cpu_s)]
        self._process = subprocess.Popen(  # noqa: S603  our own program, our own numbers
            [*command, str(SERVED_AT_MOST)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=HOUSE,
            env={name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ},
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, what: bytes, data: bytes, wall_s: float) -> dict[str, Any]:
        """Return the answer to one file; its time up, the process is killed, and both pipes end."""
        late = Timer(wall_s, self._process.kill)
        late.daemon = True
        late.start()
        try:
            return self._exchange(what, data)
        except (OSError, EOFError, ValueError) as error:
            cause = Cause.DIED if late.is_alive() else Cause.TOO_SLOW
            self.end(kill=True)
            reason = f"the reading process ended with {self._process.returncode}"
            raise UnreadableWorkbook(reason, cause) from error
        finally:
            late.cancel()

    def _exchange(self, what: bytes, data: bytes) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ValueError("a reading process without pipes")
        stdin.write(HEAD.pack(what, len(data)))
        stdin.write(data)
        stdin.flush()
        head = stdout.read(SIZE.size)
        if len(head) < SIZE.size:
            raise EOFError
        size = SIZE.unpack(head)[0]
        if size > MAX_ANSWER:
            raise ValueError(f"an answer of {size} bytes")
        content = stdout.read(size)
        if len(content) < size:
            raise EOFError
        answer: dict[str, Any] = json.loads(content)
        return answer

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # it held bytes for a process that is no more
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Sandbox:
    """A few reading processes, started when they are needed and used by any thread."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        memory_mb: int = MEMORY_MB,
        cpu_s: int = CPU_S,
        wall_s: float = WALL_S,
    ) -> None:
        """Set the limits of one file; nothing is started yet."""
        self._limits = memory_mb, cpu_s
        self._wall_s = wall_s
        self._places = BoundedSemaphore(workers or max(2, min(8, os.cpu_count() or 2)))
        self._idle: list[_Worker] = []
        self._lock = Lock()
        self._ahead: OrderedDict[bytes, Book | UnreadableWorkbook] = OrderedDict()
        self._unpacked: OrderedDict[bytes, tuple[Packed, ...]] = OrderedDict()
        self._pid = os.getpid()

    def open_ahead(self, data: bytes) -> None:
        """Open a workbook now that will be asked for soon, by somebody who then keeps others waiting."""
        found: Book | UnreadableWorkbook
        try:
            found = self._open(data)
        except UnreadableWorkbook as error:
            found = error
        with self._lock:
            self._ahead[sha256(data).digest()] = found
            while len(self._ahead) > OPENED_AHEAD:
                self._ahead.popitem(last=False)

    def forget(self, data: bytes) -> None:
        """Drop a workbook opened ahead that nobody asked for."""
        with self._lock:
            self._ahead.pop(sha256(data).digest(), None)

    def open_workbook(self, data: bytes) -> Book:
        """Return a workbook, opened in a process of its own, now or ahead.

        Raises:
            UnreadableWorkbook: it cannot be opened, or takes more memory or time than a form may.

        """
        with self._lock:
            found = self._ahead.pop(sha256(data).digest(), None) if self._ahead else None
        if isinstance(found, UnreadableWorkbook):
            raise found
        return self._open(data) if found is None else found

    def _open(self, data: bytes) -> Book:
        """Return what stands in a workbook.

        Raises:
            UnreadableWorkbook: it cannot be opened, or takes more memory or time than a form may.

        """
        return from_plain(self._ask(OPEN, data)["book"])

    def unpack(self, data: bytes) -> tuple[Packed, ...]:
        """Return the files of a .zip.

        Raises:
            UnreadableWorkbook: it cannot be opened, or takes more memory or time than a hand-in may.

        """
        with self._lock:
            found = self._unpacked.pop(sha256(data).digest(), None) if self._unpacked else None
        if found is not None:
            return found
        files = self._ask(UNPACK, data)["files"]
        return tuple(Packed(name=str(name), content=base64.b64decode(content)) for name, content in files)

    def unpack_ahead(self, data: bytes) -> tuple[Packed, ...]:
        """Return the files of a .zip that will be asked for again soon, by somebody who then keeps others waiting.

        Raises:
            UnreadableWorkbook: as :meth:`unpack` has it.

        """
        files = self.unpack(data)
        with self._lock:
            self._unpacked[sha256(data).digest()] = files
            while len(self._unpacked) > UNPACKED_AHEAD:
                self._unpacked.popitem(last=False)
        return files

    def warm(self) -> None:
        """Start a process now, so that the first unit does not wait for it."""
        self._put(self._take())

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _ask(self, what: bytes, data: bytes) -> dict[str, Any]:
        if len(data) > MAX_FILE:
            raise UnreadableWorkbook(f"{len(data)} bytes", Cause.TOO_LARGE)
        with self._places:
            worker = self._take()
            answer = worker.ask(what, data, self._wall_s)
            if answer.pop("last"):
                worker.end()
            else:
                self._put(worker)
        if "cause" in answer:
            raise UnreadableWorkbook(str(answer["reason"]), Cause(answer["cause"]))
        return answer

    def _take(self) -> _Worker:
        with self._lock:
            if self._pid != os.getpid():  # we are a fork: the processes are our parent's
                self._pid, self._idle = os.getpid(), []
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                worker.end()
        return _Worker(*self._limits)

    def _put(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)


SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
