"""Files by sha256: mails as they came and went, workbooks, attachments. Written once, never changed."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4


class FileStore:
    """A folder of files named after the sha256 of their bytes."""

    def __init__(self, root: Path) -> None:
        """Keep files below ``root``."""
        self.root = root

    def put(self, content: bytes) -> str:
        """Keep bytes; return their sha256. Present bytes are left alone; a crash leaves no half file under the name."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                _keep_name(self.root)
            part = path.with_name(f"{sha256}.{uuid4().hex}.part")
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _keep_name(path.parent)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the bytes.

        Raises:
            FileNotFoundError: nothing is kept under that hash.

        """
        return self.path(sha256).read_bytes()

    def path(self, sha256: str) -> Path:
        """Return where the bytes of a hash are, or would be, kept."""
        return self.root / sha256[:2] / sha256


def _keep_name(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, as the bytes do."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
