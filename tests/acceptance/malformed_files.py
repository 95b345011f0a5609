"""Two hundred files that no inspection can be made of, of every kind that people and attackers
send. The same ones each time."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
SIGNATURES = {
    "jpg": b"\xff\xd8\xff\xe0",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF\x10\x10\0\0WEBP",
    "tif": b"II*\0",
    "bmp": b"BM",
    "gif": b"GIF89a",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
    "avif": b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
}
NOT_PHOTOS = {
    "invoice.pdf": b"%PDF-1.7\n1 0 obj",
    "letter.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500,
    "run.exe": b"MZ\x90\0" + b"\0" * 300,
    "tool": b"\x7fELF" + b"\0" * 300,
    "song.mp3": b"ID3\x04" + b"\0" * 300,
    "film.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "film.avi": b"RIFF\x10\x10\0\0AVI LIST",
    "page.html": b"<!doctype html><script>alert(1)</script>",
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "layers.psd": b"8BPS\0\1" + b"\0" * 100,
    "photos.rar": b"Rar!\x1a\x07\0" + b"\0" * 100,
    "photos.7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 100,
    "photo.jpg.gz": b"\x1f\x8b\x08" + b"\0" * 100,
    "base.sqlite": b"SQLite format 3\0" + b"\0" * 100,
    "notes.txt": b"Nothing to see here, only words.\n" * 3,
    "zeros.jpg": b"\0" * 5000,
    "one-byte.jpg": b"\xff",
    "newline.png": b"\n",
    "utf16.txt": "words".encode("utf-16"),
    "print.ps": b"%!PS-Adobe-3.0",
}
ODD_NAMES = (
    "../../../etc/passwd.jpg",
    "..\\..\\windows\\system.jpg",
    "bell\x07and\x1bescape.png",
    "\u202egpj.exe",
    "n" * 900 + ".jpg",
    "con.jpg",
    "'; DROP TABLE photo; --.jpg",
    "<script>alert(1)</script>.png",
    "   .jpg",
    "\U0001f4f7\u0301.jpg",
)


def malformed(count: int = 200) -> list[tuple[str, bytes]]:
    """Names and bytes, ``count`` of them."""
    chance = random.Random(20261123)
    makers = [_not_photos(), _odd_names(), _bombs(), _archives(), _cut_off(), _torn()]
    files = [file for maker in makers for file in maker]
    noise = _noise(chance)
    while len(files) < count:
        files.append(next(noise))
    return files[:count]


def photo(kind: str, size: tuple[int, int] = (160, 120)) -> bytes:
    pixels = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def _not_photos() -> Iterator[tuple[str, bytes]]:
    for name, data in NOT_PHOTOS.items():
        yield name, data
        yield f"{name}.jpeg", data


def _odd_names() -> Iterator[tuple[str, bytes]]:
    for name in ODD_NAMES:
        yield name, photo("JPEG")[:500]


def _bombs() -> Iterator[tuple[str, bytes]]:
    sizes = [(30_001, 8), (8, 30_001), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (0, 0), (0, 9)]
    sizes += [(20_000, 20_000 + step) for step in range(4)]
    for width, height in sizes:
        yield f"bomb-{width}x{height}.png", _png(width, height)


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9999))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def _archives() -> Iterator[tuple[str, bytes]]:
    good = photo("JPEG")
    yield "slip.zip", _zip({"../../slip.jpg": good, "/abs.jpg": good})
    yield "nested.zip", _zip({"inner.zip": _zip({"a.jpg": good})})
    yield "empty.zip", _zip({})
    yield "folders.zip", _zip({"a/": b"", "b/": b""})
    yield "ratio.zip", _zip({"zeros.bmp": b"BM" + b"\0" * 20_000_000})
    yield "words.zip", _zip({"a.txt": b"words", "b.txt": b"more words"})
    yield "cut.zip", _zip({"a.jpg": good})[:-40]
    yield "noise.zip", b"PK\x03\x04" + bytes(range(256)) * 8
    yield "letter.docx", _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"})
    yield "zip-in-name.jpg", _zip({"notes.md": b"# words"})


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def _cut_off() -> Iterator[tuple[str, bytes]]:
    for kind in KINDS:
        whole = photo(kind)
        for share in (0.02, 0.2, 0.5, 0.8):
            yield f"cut-{int(share * 100)}.{kind.lower()}", whole[: int(len(whole) * share)]


def _torn() -> Iterator[tuple[str, bytes]]:
    """Photos with a hole at the begin of their data, in a format that notices it there."""
    whole = photo("PNG")
    at = whole.index(b"IDAT") + 4
    for number in range(1, 21):
        yield f"torn-{number}.png", whole[:at] + b"\xff" * number + whole[at + number :]


def _noise(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    number = 0
    while True:
        for suffix, signature in SIGNATURES.items():
            number += 1
            body = chance.randbytes(chance.randrange(1, 4000))
            yield f"noise-{number}.{suffix}", signature + body
