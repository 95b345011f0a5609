"""What a file is, by its first bytes, and what to tell a person who sent the wrong kind."""

from __future__ import annotations

PHOTO_FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF"

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "a PDF", "Export the page as JPEG and upload that."),
    (b"PK\x03\x04", "a ZIP archive or an office document", "Unpack it and upload the photos."),
    (b"Rar!", "a RAR archive", "Unpack it and upload the photos."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it and upload the photos."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and upload the photos."),
    (b"8BPS", "a Photoshop document", "Export it as JPEG or PNG and upload that."),
    (b"%!PS", "a PostScript document", "Export it as JPEG and upload that."),
    (b"\xff\x0a", "a JPEG XL picture", "Export it as JPEG and upload that."),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", "Export it as JPEG and upload that."),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", "Export it as JPEG and upload that."),
    (b"RIFF....AVI ", "a video", "Export a still frame as JPEG and upload that."),
    (b"\x1aE\xdf\xa3", "a video", "Export a still frame as JPEG and upload that."),
    (b"RIFF....WAVE", "a sound file", "Upload a photo instead."),
    (b"ID3", "a sound file", "Upload a photo instead."),
    (b"FUJIFILMCCD-RAW", "a raw camera file", "Export it as JPEG and upload that."),
    (b"MZ", "a program", "Upload a photo instead."),
    (b"\x7fELF", "a program", "Upload a photo instead."),
    (b"\xd0\xcf\x11\xe0", "an office document", "Export the page as JPEG and upload that."),
    (b"SQLite format 3", "a database", "Upload a photo instead."),
)

_PHOTO_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"RIFF....WEBP", "WebP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
)

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif")
_AVIF_BRANDS = (b"avif", b"avis")


def photo_kind(head: bytes) -> str | None:
    """Name the photo format that the first 32 bytes announce, or None if they announce none."""
    if head[4:8] == b"ftyp":
        brands = (head[8:12], *(head[i : i + 4] for i in range(16, len(head) - 3, 4)))
        if any(brand in _AVIF_BRANDS for brand in brands):
            return "AVIF"
        return "HEIC" if any(brand in _HEIF_BRANDS for brand in brands) else None
    return next((name for sign, name in _PHOTO_SIGNATURES if _matches(head, sign)), None)


def what_it_is(head: bytes) -> str:
    """Say in two sentences what a file that is no photo is, and what to do about it."""
    for sign, name, advice in _SIGNATURES:
        if _matches(head, sign):
            return f"This file is {name}, not a photo. {advice}"
    if head[4:8] == b"ftyp":
        return "This file is a video, not a photo. Export a still frame as JPEG and upload that."
    stripped = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if stripped.startswith((b"<svg", b"<?xml")):
        return "This file is a drawing (SVG or XML), not a photo. Export it as PNG and upload that."
    if stripped.startswith((b"<!doctype", b"<html")):
        return "This file is a web page, not a photo. Save the picture itself and upload that."
    if _is_text(head):
        return f"This file is text, not a photo. Upload a {PHOTO_FORMATS} file."
    return f"This file is not a photo that can be read. Upload a {PHOTO_FORMATS} file."


def _matches(head: bytes, sign: bytes) -> bool:
    """Compare with a signature in which four dots stand for a four-byte length."""
    if b"...." in sign:
        return head[:4] == sign[:4] and head[8 : len(sign)] == sign[8:]
    return head.startswith(sign)


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-3].decode("utf-8") if len(head) > 8 else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n" for char in text)
