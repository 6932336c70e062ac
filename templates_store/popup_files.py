"""Popup files as people hand them over, in a folder or a zip, and as clients get them.  Pure.

A zip comes from anywhere, so nothing it says of itself is believed.  What stands in a file belongs to popups.py.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from templates_store.popups import MAX_FILE, NAMES

MAX_ZIP = 2 * 1024 * 1024
MAX_ENTRIES = 100

# A file in force, by language and name.
Key = tuple[str, str]


def gettext_noop(message: str) -> str:
    """Mark the message for translation, which is for whoever shows it."""
    return message


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a file, and where in it, or (`path` empty) with a folder or zip as a whole."""

    path: str
    message: str
    params: Mapping[str, object]
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return it in English, as a log wants it."""
        place = [self.path] if self.path else []
        if self.line is not None:
            place.append(f"line {self.line}, column {self.column}")
        return ": ".join(filter(None, [", ".join(place), self.format(self.message)]))

    def format(self, message: str) -> str:
        """Return the message, or a translation of it, with its parameters.  Without any, a % means itself."""
        return message % self.params if self.params else message


class UnusableFiles(Exception):
    """Nothing of these files can be used."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        super().__init__("; ".join(map(str, troubles)))
        self.troubles = tuple(troubles)


class _FileError(Exception):
    def __init__(self, message: str, **params: object) -> None:
        self.message, self.params = message, params


def read_folder(folder: Path, languages: Collection[str]) -> dict[Key, str]:
    """Return the files of a folder: `<name>` for every language, `<language>/<name>` for one.

    Hidden files are passed over, and the copies that editors leave (`match.html~`); whatever else has a name that
    nothing asks for is an error, since it may be a file that somebody wonders about.  Raises UnusableFiles.
    """
    contents: dict[str, str] = {}
    troubles: list[Trouble] = []
    try:
        for path, file in _walk(folder, languages):
            try:
                _require_known(path, languages)
                contents[path] = _decode(_read_file(file))
            except _FileError as error:
                # A name need not be Unicode.
                shown = path.encode(errors="replace").decode()
                troubles.append(Trouble(shown, error.message, error.params))
    except OSError as error:
        raise UnusableFiles([_explain(error, folder)]) from error
    if troubles:
        raise UnusableFiles(troubles)
    return _spread(contents, languages)


def _walk(folder: Path, languages: Collection[str]) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.iterdir()):
        if _is_left_by_others(file.name):
            continue
        if file.name in languages and file.is_dir():
            for inner in sorted(file.iterdir()):
                if not _is_left_by_others(inner.name):
                    yield f"{file.name}/{inner.name}", inner
        else:
            yield file.name, file


def _is_left_by_others(name: str) -> bool:
    return name.startswith(".") or name.endswith("~")


def _read_file(file: Path) -> bytes:
    # Following links: Kubernetes mounts files as such.  Anything else, as a pipe, may never end.
    if not file.is_file():
        raise _FileError(gettext_noop("This is not a file."))
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_FILE + 1)
    except OSError as error:
        raise _FileError(gettext_noop("It cannot be read: %(reason)s."), reason=error.strerror or "") from error


def _explain(error: OSError, folder: Path) -> Trouble:
    return Trouble(
        "",
        gettext_noop("The folder %(folder)s cannot be read: %(reason)s."),
        {"folder": str(error.filename or folder), "reason": error.strerror or ""},
    )


def read_zip(data: bytes, languages: Collection[str]) -> dict[Key, str]:
    """Return the files of a zip: `<name>` for every language, `<language>/<name>` for one.

    Raises UnusableFiles with everything that is wrong with it; of a zip with any error nothing is used.
    """
    if len(data) > MAX_ZIP:
        raise _unusable_zip(gettext_noop("A zip file has at most %(limit)s bytes."), limit=MAX_ZIP)
    contents: dict[str, str] = {}
    troubles: list[Trouble] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > MAX_ENTRIES:
                raise _unusable_zip(gettext_noop("A zip file has at most %(limit)s entries."), limit=MAX_ENTRIES)
            for entry in archive.infolist():
                # The name as it is written: zipfile itself ends it at a NUL.
                path = entry.orig_filename
                try:
                    if _is_folder(entry, languages):
                        continue
                    _require_known(path, languages)
                    _require_new(path, contents)
                    contents[path] = _decode(_read_entry(archive, entry))
                except _FileError as error:
                    troubles.append(Trouble(path, error.message, error.params))
    except _BROKEN_ZIP as error:
        raise _unusable_zip(gettext_noop("This is not a zip file, or it is damaged.")) from error
    if troubles:
        raise UnusableFiles(troubles)
    if not contents:
        raise _unusable_zip(gettext_noop("There is no file in it."))
    return _spread(contents, languages)


# What zipfile raises for what is no zip, or a damaged one.
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError, LookupError, OverflowError),
)


def _unusable_zip(message: str, **params: object) -> UnusableFiles:
    return UnusableFiles([Trouble("", message, params)])


def _is_folder(entry: zipfile.ZipInfo, languages: Collection[str]) -> bool:
    """Say whether the entry only says that there is a folder of a language."""
    return entry.orig_filename.endswith("/") and entry.orig_filename[:-1] in languages and not entry.file_size


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise _FileError(gettext_noop("This is not a file."))
    if entry.flag_bits & 0x1:
        raise _FileError(gettext_noop("It is encrypted."))
    # The others take memory before the first byte comes.
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _FileError(gettext_noop("It is compressed in a way that is not taken; take “deflate”."))
    try:
        with archive.open(entry) as stream:
            # Never more than this is decompressed, whatever is in it.
            return stream.read(MAX_FILE + 1)
    except _BROKEN_ZIP as error:
        raise _FileError(gettext_noop("It is damaged.")) from error


def _require_known(path: str, languages: Collection[str]) -> None:
    folder, slash, name = path.rpartition("/")
    if name not in NAMES or (slash and folder not in languages):
        raise _FileError(
            gettext_noop("There is no popup file of this name: files are %(names)s, folders %(languages)s."),
            names=", ".join(NAMES),
            languages=", ".join(languages),
        )


def _require_new(path: str, contents: Collection[str]) -> None:
    if path in contents:
        raise _FileError(gettext_noop("It is there twice."))


def _decode(data: bytes) -> str:
    if len(data) > MAX_FILE:
        raise _FileError(gettext_noop("A popup file has at most %(limit)s bytes."), limit=MAX_FILE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _FileError(gettext_noop("It is not UTF-8, at byte %(place)s."), place=error.start + 1) from error
    if "\0" in text:
        raise _FileError(gettext_noop("It is not a text."))
    return normalize(text)


def normalize(text: str) -> str:
    """Return the text with the line breaks that all files have here."""
    return text.replace("\r\n", "\n")


def _spread(contents: Mapping[str, str], languages: Collection[str]) -> dict[Key, str]:
    """Give every language the files for all of them, except where it has its own."""
    files: dict[Key, str] = {}
    # General ones first: they have no folder.
    for path, content in sorted(contents.items(), key=lambda item: "/" in item[0]):
        folder, _, name = path.rpartition("/")
        files |= {(language, name): content for language in languages if folder in {"", language}}
    return files


def write_zip(files: Mapping[Key, bytes]) -> bytes:
    """Return a zip of the files, the same bytes for the same files, whenever and wherever it is made."""
    buffer = io.BytesIO()
    # Not compressed: what zlib makes of the same bytes depends on its version.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for (language, name), content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{language}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
