"""Popup files out of hostile zips and broken folders, and the zip that clients get."""

import contextlib
import io
import os
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from templates_store.popup_files import MAX_ENTRIES, MAX_ZIP, UnusableFiles, read_folder, read_zip, write_zip
from templates_store.popups import MAX_FILE

LANGUAGES = ("de", "en")


def make_zip(files: Mapping[str, bytes | str], **options: int) -> bytes:
    return make_zip_of([(zipfile.ZipInfo(name), content) for name, content in files.items()], **options)


def make_zip_of(entries: Sequence[tuple[zipfile.ZipInfo, bytes | str]], *, compression: int = 8) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry, content in entries:
            archive.writestr(entry, content, compress_type=compression)
    return buffer.getvalue()


def troubles_of(read: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(UnusableFiles) as refusal:
        read()
    return [(trouble.path, trouble.format(trouble.message)) for trouble in refusal.value.troubles]


def test_a_file_of_a_zip_is_for_its_language_and_one_without_folder_for_all_others() -> None:
    data = make_zip({"de/match.html": "<p>Ä</p>", "match.html": "<p>A</p>", "en/": b"", "en/popup.css": "p {}\r\n"})

    assert read_zip(data, LANGUAGES) == {
        ("de", "match.html"): "<p>Ä</p>",
        ("en", "match.html"): "<p>A</p>",
        ("en", "popup.css"): "p {}\n",
    }


def test_a_mark_of_the_byte_order_is_not_part_of_the_text() -> None:
    assert read_zip(make_zip({"de/match.html": b"\xef\xbb\xbf<p>"}), LANGUAGES) == {("de", "match.html"): "<p>"}


@pytest.mark.parametrize(
    "name",
    [
        *("../match.html", "de/../match.html", "/match.html", "/de/match.html", "C:\\match.html", "de\\match.html"),
        *("./match.html", "de//match.html", "de/de/match.html", "match.html/", "fr/match.html", "de/macth.html"),
        *(
            "DE/match.html",
            "match.HTML",
            "__MACOSX/de/._match.html",
            ".DS_Store",
            "manifest.json",
            "fr/",
            "de/match.html/",
        ),
    ],
)
def test_a_name_that_nothing_asks_for_is_refused_with_those_that_are_known(name: str) -> None:
    ((path, message),) = troubles_of(lambda: read_zip(make_zip({"en/match.html": "", name: ""}), LANGUAGES))

    assert path == name
    assert message == (
        "There is no popup file of this name: files are incoming.html, match.html, choice.html, nomatch.html, "
        "withheld.html, missed.html, popup.css, folders de, en."
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    data = make_zip({"a.html": "", "de/match.html": b"\xff", "en/match.html": "fine", "b.html": ""})

    assert [path for path, _ in troubles_of(lambda: read_zip(data, LANGUAGES))] == ["a.html", "de/match.html", "b.html"]


def test_a_name_that_ends_at_a_nul_is_not_the_name_before_it() -> None:
    data = make_zip({"match.html?.exe": "x"}).replace(b"match.html?.exe", b"match.html\0.exe")

    ((path, _),) = troubles_of(lambda: read_zip(data, LANGUAGES))
    assert path == "match.html\0.exe"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_what_is_no_file_is_refused(kind: int) -> None:
    entry = zipfile.ZipInfo("de/match.html")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16

    data = make_zip_of([(entry, "/etc/passwd")])

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("de/match.html", "This is not a file.")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused() -> None:
    data = make_zip_of([(zipfile.ZipInfo("de/match.html"), content) for content in ("harmless", "other")])

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("de/match.html", "It is there twice.")]


def test_an_encrypted_file_is_refused() -> None:
    data = bytearray(make_zip({"de/match.html": "<p>"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1

    assert troubles_of(lambda: read_zip(bytes(data), LANGUAGES)) == [("de/match.html", "It is encrypted.")]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_takes_memory_is_refused(compression: int) -> None:
    data = make_zip({"de/match.html": "<p>"}, compression=compression)

    ((path, message),) = troubles_of(lambda: read_zip(data, LANGUAGES))
    assert (path, message) == ("de/match.html", "It is compressed in a way that is not taken; take “deflate”.")


def test_of_a_bomb_no_more_is_unpacked_than_a_file_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain_read = zipfile.ZipExtFile.read

    def count(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = plain_read(self, n)
        read.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", count)
    data = make_zip({"de/match.html": bytes(500_000_000)})
    assert len(data) < MAX_ZIP

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [
        ("de/match.html", "A popup file has at most 100000 bytes.")
    ]
    assert read == [MAX_FILE + 1]


def test_a_file_that_says_it_is_smaller_than_it_is_is_damaged() -> None:
    content = os.urandom(2000)
    data = make_zip({"de/match.html": content}).replace((2000).to_bytes(4, "little"), (7).to_bytes(4, "little"))

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("de/match.html", "It is damaged.")]


def test_a_file_may_have_just_so_many_bytes() -> None:
    fits = {"de/match.html": "x" * MAX_FILE}

    assert len(read_zip(make_zip(fits), LANGUAGES)["de", "match.html"]) == MAX_FILE
    ((_, message),) = troubles_of(lambda: read_zip(make_zip({"de/match.html": "ä" * 50_001}), LANGUAGES))
    assert message == "A popup file has at most 100000 bytes."


def test_a_zip_has_a_limit_of_its_own_before_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", None)

    assert troubles_of(lambda: read_zip(bytes(MAX_ZIP + 1), LANGUAGES)) == [
        ("", f"A zip file has at most {MAX_ZIP} bytes.")
    ]


def test_a_zip_with_too_many_entries_is_refused() -> None:
    data = make_zip({f"{number}.html": "" for number in range(MAX_ENTRIES + 1)})

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("", "A zip file has at most 100 entries.")]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"PK", b"no zip", b"PK\x05\x06" + b"\xff" * 18, b"PK\x01\x02" * 50),
        make_zip({"de/match.html": "<p>"})[:-10],
    ],
)
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("", "This is not a zip file, or it is damaged.")]


def test_every_zip_with_one_byte_changed_is_read_or_refused() -> None:
    data = make_zip({"de/match.html": "<p>hello</p>", "popup.css": "p {}"})
    for place in range(len(data)):
        for byte in (0, 0xFF, data[place] ^ 1):
            with contextlib.suppress(UnusableFiles):
                files = read_zip(data[:place] + bytes([byte]) + data[place + 1 :], LANGUAGES)
                assert {name for _, name in files} <= {"match.html", "popup.css"}


def test_a_zip_without_files_is_refused() -> None:
    assert troubles_of(lambda: read_zip(make_zip({"de/": ""}), LANGUAGES)) == [("", "There is no file in it.")]


@pytest.mark.parametrize(
    ("content", "message"), [(b"a\xffb", "It is not UTF-8, at byte 2."), (b"a\0b", "It is not a text.")]
)
def test_what_is_no_text_is_refused(content: bytes, message: str) -> None:
    data = make_zip({"de/match.html": content})

    assert troubles_of(lambda: read_zip(data, LANGUAGES)) == [("de/match.html", message)]


def test_the_zip_of_the_same_files_has_the_same_bytes_and_can_be_read_again() -> None:
    files = {("en", "popup.css"): b"p {}", ("de", "match.html"): "<p>ä</p>".encode(), ("de", "choice.html"): b""}

    data = write_zip(files)

    assert data == write_zip(dict(reversed(files.items())))
    assert read_zip(data, LANGUAGES) == {key: content.decode() for key, content in files.items()}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert [
            (e.filename, e.date_time, e.external_attr >> 16, e.compress_type, e.create_system, e.extra, e.comment)
            for e in archive.infolist()
        ] == [
            (name, (1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED, 3, b"", b"")
            for name in ("de/choice.html", "de/match.html", "en/popup.css")
        ]


def test_a_folder_is_read_like_a_zip(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "match.html").write_bytes(b"<p>de</p>\r\n")
    (tmp_path / "match.html").write_text("<p>all</p>")

    assert read_folder(tmp_path, LANGUAGES) == {
        ("de", "match.html"): "<p>de</p>\n",
        ("en", "match.html"): "<p>all</p>",
    }


def test_links_of_a_folder_are_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "match.html").write_text("<p>")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "match.html").symlink_to("..data/match.html")

    assert set(read_folder(tmp_path, ["de"])) == {("de", "match.html")}


def test_what_editors_leave_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    for name in ("match.html~", ".match.html.swp", "de/.DS_Store", "de/popup.css~"):
        (tmp_path / name).write_text("x")

    assert read_folder(tmp_path, LANGUAGES) == {}


def test_what_cannot_be_used_in_a_folder_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "fr").mkdir()
    (tmp_path / "macth.html").write_text("")
    (tmp_path / "choice.html").mkdir()
    os.mkfifo(tmp_path / "de" / "match.html")
    (tmp_path / "de" / "popup.css").write_bytes(b"\xff")
    (tmp_path / "de" / "missed.html").write_bytes(bytes(MAX_FILE + 1))
    (tmp_path / "de" / "withheld.html").symlink_to("nowhere")

    unknown = (
        "There is no popup file of this name: files are incoming.html, match.html, choice.html, nomatch.html, "
        "withheld.html, missed.html, popup.css, folders de, en."
    )
    assert troubles_of(lambda: read_folder(tmp_path, LANGUAGES)) == [
        ("choice.html", "This is not a file."),
        ("de/match.html", "This is not a file."),
        ("de/missed.html", "A popup file has at most 100000 bytes."),
        ("de/popup.css", "It is not UTF-8, at byte 1."),
        ("de/withheld.html", "This is not a file."),
        ("fr", unknown),
        ("macth.html", unknown),
    ]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    assert troubles_of(lambda: read_folder(folder, LANGUAGES)) == [
        ("", f"The folder {folder} cannot be read: No such file or directory.")
    ]
