"""What stands: the note that `muster up` keeps of itself and its children, for other terminals and its next start."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from deployments.local_server import client_environment

# Every process below `muster up` has this in its environment: so those left by one that was killed are found.
MARK = "MUSTER_UP_BELOW"
KILL_S = 5.0


class AlreadyUp(Exception):  # noqa: N818  what happened
    """Another `muster up` stands over the same folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One child as `muster ps` shows it."""

    name: str
    state: str
    pid: int | None = None
    since: str = ""
    restarts: int = 0
    url: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A `muster up` that stands, or did: who, since when, where its server is, and its children."""

    pid: int
    born: float  # when the system began that process: another that got its number was born later
    since: str
    port: int
    home: str
    children: tuple[Place, ...]
    ready: bool = False

    @property
    def stands(self) -> bool:
        """Whether that very process is alive."""
        return is_alive(self.pid, self.born)


def is_alive(pid: int, born: float) -> bool:
    """Whether a process is alive, and the one that was born then."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < 1 and process.status() != psutil.STATUS_ZOMBIE
    return False


def home_of(var_dir: Path) -> Path:
    """Return the folder of the Prefect server that `muster up` runs."""
    return var_dir.resolve() / "prefect"


def note_of(var_dir: Path) -> Path:
    """Return the file with the note."""
    return home_of(var_dir) / "up.json"


def write_note(var_dir: Path, standing: Standing) -> None:
    """Write the note; whoever reads meanwhile sees the old one or the new one."""
    note = note_of(var_dir)
    new = note.with_suffix(".new")
    new.write_text(json.dumps(asdict(standing), ensure_ascii=False, indent=1), encoding="utf-8")
    new.replace(note)


def read_note(var_dir: Path) -> Standing | None:
    """Return the `muster up` that stands over a folder, if one does."""
    try:
        found: dict[str, Any] = json.loads(note_of(var_dir).read_text(encoding="utf-8"))
        children = tuple(Place(**child) for child in found.pop("children"))
        standing = Standing(**found, children=children)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return standing if standing.stands else None


def environment_of(standing: Standing, auth: str) -> dict[str, str]:
    """Return what a command needs in its environment to talk to the server that stands."""
    return client_environment(Path(standing.home), standing.port, auth)


@contextmanager
def held_alone(var_dir: Path) -> Iterator[None]:
    """Hold a folder against a second `muster up`; the system lets go of it whatever becomes of us.

    Raises:
        AlreadyUp: another holds it.

    """
    import fcntl  # noqa: PLC0415  not on Windows, where the other commands work

    home = home_of(var_dir)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with (home / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyUp from None
        yield


def leftovers(var_dir: Path) -> list[psutil.Process]:
    """Return the processes that a `muster up` over this folder left behind, or still has."""
    mark, ours = str(var_dir.resolve()), {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid not in ours and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def end_leftovers(var_dir: Path) -> int:
    """End what was left behind, at once if it does not heed; return how many processes that were."""
    found = leftovers(var_dir)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=KILL_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=KILL_S)
    return len(found)
