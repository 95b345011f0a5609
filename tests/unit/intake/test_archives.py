"""A zip of photos is read; a hostile one costs nothing but an error per member."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from models_runtime.errors import InputError
from models_runtime.intake.archives import ArchiveLimits, ArchiveMember, read_archive


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    out.seek(0)
    return out


def only(source: io.BytesIO, limits: ArchiveLimits | None = None) -> ArchiveMember:
    (member,) = read_archive(source, limits)
    return member


def test_photos_come_out_with_clean_names_and_clutter_stays_in(tmp_path: Path) -> None:
    files = {
        "batch/a.jpg": b"AAA",
        "__MACOSX/._a.jpg": b"x",
        "batch/.DS_Store": b"x",
        "b.png": b"B",
    }
    path = tmp_path / "photos.zip"
    path.write_bytes(packed({"batch/": b"", **files}).getvalue())
    assert list(read_archive(path)) == [
        ArchiveMember("a.jpg", b"AAA", path="batch/a.jpg"),
        ArchiveMember("b.png", b"B", path="b.png"),
    ]


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"]
)
def test_path_that_leads_out_is_refused_and_the_rest_goes_on(name: str) -> None:
    bad, good = read_archive(packed({name: b"x", "good.jpg": b"y"}))
    assert bad.data is None
    assert bad.name == "evil.jpg"
    assert "leads out" in (bad.error or "")
    assert good.data == b"y"


def test_symbolic_link_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "a link" in (only(out).error or "")


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"Rar!", b"\x1f\x8b", b"7z\xbc\xaf"])
def test_archive_in_the_archive_is_refused(head: bytes) -> None:
    assert "archive in an archive" in (only(packed({"inner.zip": head + b"rest"})).error or "")


def test_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"a.jpg": b"x"}).getvalue())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "password" in (only(io.BytesIO(bytes(data))).error or "")


def test_zip_bomb_is_not_unpacked() -> None:
    assert "far more" in (only(packed({"a.bmp": b"\0" * 5_000_000})).error or "")


def test_member_that_lies_about_its_size_is_stopped() -> None:
    data = bytearray(packed({"a.bmp": bytes(range(256)) * 4000}, zipfile.ZIP_STORED).getvalue())
    central = data.index(b"PK\x01\x02")
    for offset in (central + 24, 22):
        data[offset : offset + 4] = (500).to_bytes(4, "little")
    member = only(io.BytesIO(bytes(data)), ArchiveLimits(max_member_bytes=10_000))
    assert member.data is None or len(member.data) <= 500
    if member.data is None:
        assert member.error


def test_limits_on_bytes_and_members_hold() -> None:
    photo = bytes(range(256)) * 40
    files = {f"{i}.jpg": photo + bytes([i]) for i in range(5)}
    assert "limit" in (
        only(packed({"a": photo}), ArchiveLimits(max_member_bytes=9_000)).error or ""
    )
    with pytest.raises(InputError, match="Split it"):
        list(read_archive(packed(files), ArchiveLimits(max_members=4)))
    members = list(read_archive(packed(files), ArchiveLimits(max_total_bytes=25_000)))
    assert [m.data is not None for m in members] == [True, True, False]
    assert "from here on nothing" in (members[-1].error or "")


def test_damaged_member_does_not_stop_the_rest() -> None:
    data = bytearray(packed({"a.jpg": b"A" * 50, "b.jpg": b"B"}, zipfile.ZIP_STORED).getvalue())
    data[data.index(b"AAAA")] = 0
    bad, good = read_archive(io.BytesIO(bytes(data)))
    assert "damaged in the zip" in (bad.error or "")
    assert good.data == b"B"


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_broken_archive_says_what_to_do(data: bytes) -> None:
    with pytest.raises(InputError, match="Pack the photos again"):
        list(read_archive(io.BytesIO(data)))


def test_lzma_is_refused_without_reading() -> None:
    assert "ordinary zip" in (only(packed({"a.jpg": b"x"}, zipfile.ZIP_LZMA)).error or "")


def end_record(entries: int, size: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, size, 0, 0)


def end_record_64(entries: int, size: int) -> bytes:
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    return record + locator + end_record(0xFFFF, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (end_record(60_000, 1000), "more than 20,000 files"),
        (end_record(10, 300_000_000), "list of files alone has 300 MB"),
        (end_record(10, 300_000_000)[:-2] + b"\x03\x00abc", "list of files alone has 300 MB"),
        (end_record_64(5_000_000, 1000), "more than 20,000 files"),
        (end_record_64(10, 5_000_000_000), "list of files alone has 5,000 MB"),
        (b"x" * 56 + end_record_64(1, 1)[56:], "Pack it as ordinary zip"),
    ],
)
def test_claim_of_too_long_a_list_is_refused_before_it_is_read(data, words, monkeypatch) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
    with pytest.raises(InputError, match=words):
        list(read_archive(io.BytesIO(data)))


@pytest.mark.parametrize("claimed", [None, 1])
def test_zip_of_too_many_files_is_refused_whatever_it_claims(claimed, monkeypatch) -> None:
    data = bytearray(packed({f"{n}.jpg": b"x" for n in range(50)}).getvalue())
    if claimed is not None:
        data[-14:-10] = struct.pack("<2H", claimed, claimed)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
    with pytest.raises(InputError, match="more than 40 files and folders"):
        list(read_archive(io.BytesIO(bytes(data)), ArchiveLimits(max_members=10)))


def test_zip64_comment_and_twins_of_a_mac_are_within_the_limits() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(10):
            archive.writestr(f"{n}.jpg", b"x")
            archive.writestr(f"__MACOSX/._{n}.jpg", b"x")
        archive.comment = b"from the camera"
    assert len(list(read_archive(out, ArchiveLimits(max_members=10)))) == 10
    plain = packed({"a.jpg": b"A"}).getvalue()
    size, offset = struct.unpack("<2L", plain[-10:-2])
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, offset)
    large += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(plain) - 22, 1)
    source = io.BytesIO(plain[:-22] + large + end_record(0xFFFF, 0xFFFFFFFF))
    assert only(source) == ArchiveMember("a.jpg", b"A", path="a.jpg")
