"""The popup files, as a client that renders them itself keeps them: all of one version, or all of another.

Files are kept by their SHA-256, so what two versions have in common is loaded once.  The manifest is put in place
last and at once: whoever reads it finds every file that it names.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cmphone.phone.server import TryLater
from cmphone.phone.session import Session

MANIFEST = "/api/v1/popup-templates"


class Templates:
    """The popup files in a folder, which belongs to this client alone."""

    def __init__(self, folder: Path, session: Session) -> None:
        self.folder = folder
        self._session = session
        self._manifest = folder / "manifest.json"
        self._etag, self.version, self.hashes = self._read()

    def load(self) -> int:
        """Bring the folder in step with the server, and return how many files were loaded.

        Raises TryLater, Refused and SessionEnded; then the version before stays in use.
        """
        answer = self._session.request("GET", MANIFEST, etag=self._etag)
        if answer.status == 304:
            return 0
        manifest = answer.json
        missing = [file for file in manifest["files"] if not self._find(file["sha256"]).exists()]
        for file in missing:
            self._load_file(file, manifest["version"])
        _write(self._manifest, json.dumps({"etag": answer.etag, **manifest}).encode())
        self._etag, self.version, self.hashes = self._read()
        for path in self.folder.iterdir():
            if path != self._manifest and path.name not in self.hashes:
                path.unlink()
        return len(missing)

    def _load_file(self, file: dict[str, Any], version: str) -> None:
        # What its `url` says as well; made here, so that the token goes nowhere that an answer names.
        path = f"{MANIFEST}/{quote(file['language'], safe='')}/{quote(file['name'], safe='')}?version={quote(version)}"
        content = self._session.request("GET", path).body
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise TryLater(f"{file['name']} arrived damaged.")
        _write(self._find(file["sha256"]), content)

    def _find(self, sha256: str) -> Path:
        # It becomes the name of a file, so it is one and nothing else.
        if re.fullmatch(r"[0-9a-f]{64}", sha256) is None:
            raise TryLater("The manifest of the popup files is damaged.")
        return self.folder / sha256

    def _read(self) -> tuple[str, str, frozenset[str]]:
        """Return ETag, version and hashes of what is there; nothing where that is not all there."""
        try:
            manifest = json.loads(self._manifest.read_bytes())
            hashes = frozenset(file["sha256"] for file in manifest["files"])
            if all(self._find(sha256).exists() for sha256 in hashes):
                return manifest["etag"], manifest["version"], hashes
        except (OSError, ValueError, KeyError, TypeError, TryLater):
            pass
        return "", "", frozenset()


def _write(path: Path, content: bytes) -> None:
    """Let `path` hold the content, or what it held before, at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
