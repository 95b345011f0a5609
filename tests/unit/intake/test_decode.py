"""Any file an operator may drop becomes an upright sRGB photo, or an error that says what to do."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import png_claiming, rotated_exif, saved, scene
from PIL import Image, ImageCms, TiffImagePlugin

from models_runtime.errors import InputError
from models_runtime.intake.decode import DecodeLimits, decode_photo, to_jpeg

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 180, 30), (30, 30, 200), (210, 200, 40)


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """Colours inside the four quarters: top left, top right, bottom left, bottom right."""
    height, width = pixels.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return [tuple(int(v) for v in pixels[y, x]) for y in rows for x in columns]


def close(found: list[tuple[int, ...]], expected: list[tuple[int, ...]], by: int = 12) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= by)


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, "JPEG"),
        ("PNG", {}, "PNG"),
        ("WEBP", {"lossless": True}, "WebP"),
        ("TIFF", {}, "TIFF"),
        ("BMP", {}, "BMP"),
        ("GIF", {}, "GIF"),
        ("AVIF", {"quality": 95}, "AVIF"),
    ],
)
def test_every_allowed_format_is_read(kind: str, options: dict[str, object], name: str) -> None:
    data = saved(scene(), kind, **options)
    photo = decode_photo(data)
    assert photo.format == name
    assert photo.original_size == (120, 80)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags["C_CONTIGUOUS"]
    assert close(corners(photo.pixels), [RED, GREEN, BLUE, YELLOW])
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert photo.warnings == ()


def heic(image: Image.Image, **options: object) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return saved(image, "HEIF", quality=95, **options)


def test_heic_from_a_phone_is_read() -> None:
    photo = decode_photo(heic(scene(128, 96)))
    assert photo.format == "HEIC"
    assert close(corners(photo.pixels), [RED, GREEN, BLUE, YELLOW], by=20)


def test_heic_rotation_is_baked_only_once() -> None:
    photo = decode_photo(heic(scene(128, 96), exif=rotated_exif(6).tobytes()))
    assert photo.pixels.shape == (128, 96, 3)
    assert close(corners(photo.pixels), [BLUE, RED, YELLOW, GREEN], by=20)


UPRIGHT = {
    1: [RED, GREEN, BLUE, YELLOW],
    2: [GREEN, RED, YELLOW, BLUE],
    3: [YELLOW, BLUE, GREEN, RED],
    4: [BLUE, YELLOW, RED, GREEN],
    5: [RED, BLUE, GREEN, YELLOW],
    6: [BLUE, RED, YELLOW, GREEN],
    7: [YELLOW, GREEN, BLUE, RED],
    8: [GREEN, YELLOW, RED, BLUE],
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_rotation_is_baked_once(kind: str, orientation: int) -> None:
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = saved(scene(), kind, exif=rotated_exif(orientation), **options.get(kind, {}))
    photo = decode_photo(data)
    assert photo.pixels.shape == ((120, 80, 3) if orientation >= 5 else (80, 120, 3))
    assert close(corners(photo.pixels), UPRIGHT[orientation])


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_tiff_rotation_is_baked_once(orientation: int) -> None:
    data = saved(scene(), "TIFF", tiffinfo={0x0112: orientation})
    photo = decode_photo(data)
    assert photo.pixels.shape == ((120, 80, 3) if orientation >= 5 else (80, 120, 3))
    assert close(corners(photo.pixels), UPRIGHT[orientation])


def test_served_copy_carries_no_exif_and_fits() -> None:
    exif = rotated_exif(1)
    exif[0x010F] = "Camera maker"
    pixels = decode_photo(saved(scene(400, 200), "JPEG", exif=exif)).pixels
    copy = Image.open(io.BytesIO(to_jpeg(pixels, max_side=100, quality=80)))
    assert copy.size == (100, 50)
    assert not copy.getexif()
    assert "exif" not in copy.info


def with_gps() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Maker\x00\x07 Ltd"
    exif[0x010E] = "x" * 5000
    exif[0x9003] = "2026:03:01 10:00:00"
    exif.get_ifd(0x8769)[0x829A] = TiffImagePlugin.IFDRational(1, 0)
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0secret"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "S", (33.0, 51.0, 30.0)
    gps[3], gps[4] = "E", (151.0, 12.0, 36.0)
    gps[5], gps[6] = b"\x01", 12.5
    return saved(scene(), "JPEG", exif=exif)


def test_exif_is_kept_as_plain_json_with_the_position() -> None:
    exif = decode_photo(with_gps()).exif
    assert json.loads(json.dumps(exif, allow_nan=False)) == exif
    assert exif["Make"] == "Maker Ltd"
    assert len(str(exif["ImageDescription"])) == 500
    assert "ExposureTime" not in exif, "1/0 s has no value"
    assert exif["gps"] == {"latitude": -33.8583333, "longitude": 151.21, "altitude_m": -12.5}


def test_broken_exif_does_not_stop_the_photo() -> None:
    photo = decode_photo(saved(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert photo.exif == {}


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"%PDF-1.7\n", "Export the page as JPEG"),
        (b"PK\x03\x04rest", "Unpack it"),
        (b"\x00\x00\x00\x18ftypmp42\0\0\0\0mp42isom", "still frame"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Export it as PNG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"serial;result\n1;ok\n" * 5, "is text"),
        (b"\x00\x01\x02\x03" * 30, "Upload a JPEG"),
        (b"MZ\x90\x00", "a program"),
        (b"8BPS\0\1", "Photoshop"),
        (b"ID3\x04", "sound"),
        (b"\x89PNG", "can be read"),
    ],
)
def test_a_file_that_is_no_photo_is_named_for_what_it_is(head: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        decode_photo(head)


def test_empty_file_says_so() -> None:
    with pytest.raises(InputError, match="empty"):
        decode_photo(b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_cut_off_file_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(InputError, match="damaged or cut off"):
        decode_photo(data[: int(len(data) * share)])


def test_cut_off_heic_is_refused() -> None:
    data = heic(scene(256, 256))
    with pytest.raises(InputError, match="damaged or cut off"):
        decode_photo(data[: len(data) // 2])


def test_decompression_bomb_is_refused_from_its_header() -> None:
    with pytest.raises(InputError, match="too many pixels; the limit is 100"):
        decode_photo(png_claiming(25_000, 25_000))
    with pytest.raises(InputError, match="144 megapixels; the limit is 100"):
        decode_photo(png_claiming(12_000, 12_000))


def test_side_beyond_the_limit_is_refused() -> None:
    with pytest.raises(InputError, match="30,001 × 2 px"):
        decode_photo(png_claiming(30_001, 2))
    photo = decode_photo(saved(Image.new("RGB", (30_000, 1)), "PNG"))
    assert photo.pixels.shape == (1, 30_000, 3)


def test_too_many_bytes_are_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.bmp"
    path.write_bytes(saved(scene(), "BMP"))
    with pytest.raises(InputError, match="Save it as JPEG"):
        decode_photo(path, DecodeLimits(max_bytes=1000))


def test_missing_file_and_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        decode_photo(tmp_path / "nothing.jpg")
    with pytest.raises(InputError, match="is a folder"):
        decode_photo(tmp_path)


def test_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    data = saved(scene(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    assert decode_photo(tmp_path / "a.png").sha256 == decode_photo(data).sha256


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animation_gives_its_first_frame_and_a_warning(kind: str) -> None:
    second = Image.new("RGB", (120, 80), (0, 0, 0))
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    data = saved(scene(), kind, save_all=True, append_images=[second], duration=50, **options)
    photo = decode_photo(data)
    assert close(corners(photo.pixels), [RED, GREEN, BLUE, YELLOW])
    assert photo.warnings == ("This is an animation of 2 frames; only the first one is inspected.",)


@pytest.mark.parametrize("kind", ["TIFF", "MPO"])
def test_file_of_several_pictures_gives_the_first_and_a_warning(kind: str) -> None:
    data = saved(scene(), kind, save_all=True, append_images=[Image.new("RGB", (120, 80))])
    photo = decode_photo(data)
    assert close(corners(photo.pixels), [RED, GREEN, BLUE, YELLOW])
    assert photo.warnings == ("This file holds 2 pictures; only the first one is inspected.",)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_profile_keeps_its_colours(kind: str) -> None:
    photo = decode_photo(saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), kind))
    red, green, blue = (int(v) for v in photo.pixels[20, 20])
    assert red > 180
    assert max(green, blue) < 80
    assert any("CMYK" in warning for warning in photo.warnings)


def test_wide_colour_profile_is_converted_to_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    tiff = saved(Image.new("LAB", (20, 20), (136, 208, 195)), "TIFF", icc_profile=lab.tobytes())
    red, green, blue = (int(v) for v in decode_photo(tiff).pixels[10, 10])
    assert red > 230
    assert max(green, blue) < 60


def test_broken_profile_does_not_stop_the_photo() -> None:
    data = saved(scene(), "PNG", icc_profile=b"no profile at all")
    assert close(corners(decode_photo(data).pixels), [RED, GREEN, BLUE, YELLOW])


def test_profile_of_a_transparent_photo_still_applies() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(scene().convert("RGBA"), "PNG", icc_profile=srgb)
    assert close(corners(decode_photo(data).pixels), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_to_eight(kind: str) -> None:
    values = np.linspace(0, 65535, 100 * 100).reshape(100, 100).astype(np.uint16)
    pixels = decode_photo(saved(Image.fromarray(values), kind)).pixels
    expected = np.rint(values / 257.0)
    assert np.abs(pixels[..., 0].astype(float) - expected).max() <= 1
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_twelve_bit_values_in_sixteen_are_not_shown_black() -> None:
    values = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
    photo = decode_photo(saved(Image.fromarray(values), "TIFF"))
    assert photo.pixels.max() == 255
    assert "12 bits" in photo.warnings[0]


def test_floating_point_photo_is_scaled() -> None:
    values = np.linspace(0, 1, 32 * 32).reshape(32, 32).astype(np.float32)
    pixels = decode_photo(saved(Image.fromarray(values), "TIFF")).pixels
    assert pixels.min() == 0
    assert pixels.max() == 255
    strange = np.linspace(-5, 900, 32 * 32).reshape(32, 32).astype(np.float32)
    strange[0, 0] = np.nan
    photo = decode_photo(saved(Image.fromarray(strange), "TIFF"))
    assert photo.warnings
    assert photo.pixels.max() == 255


def test_sixteen_bit_colour_png_is_read() -> None:
    import zlib

    row = b"\0" + struct.pack(">3H", 65535, 32768, 0) * 8
    body = zlib.compress(row * 8)

    def chunk(name: bytes, content: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + code

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    assert tuple(decode_photo(data).pixels[4, 4]) == (255, 128, 0)


def test_palette_photo_is_read() -> None:
    data = saved(scene().quantize(16), "PNG")
    assert close(corners(decode_photo(data).pixels), [RED, GREEN, BLUE, YELLOW])


def test_black_and_white_photo_is_read() -> None:
    data = saved(scene().convert("1"), "PNG")
    assert set(np.unique(decode_photo(data).pixels)) <= {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white(mode: str) -> None:
    image = scene().convert(mode)
    image.putalpha(0)
    assert (decode_photo(saved(image, "PNG")).pixels == 255).all()


def test_transparent_palette_colour_becomes_white() -> None:
    image = scene().quantize(16)
    index = image.getpixel((10, 10))
    pixels = decode_photo(saved(image, "PNG", transparency=index)).pixels
    assert tuple(pixels[10, 10]) == (255, 255, 255)
    assert close(corners(pixels)[1:], [GREEN, BLUE, YELLOW])


def test_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(scene(), "PNG"))
    assert decode_photo(path).format == "PNG"


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_bytes_give_a_photo_or_an_input_error(
    kind: str, places: list[tuple[float, int]]
) -> None:
    data = bytearray(saved(scene(40, 30), kind))
    for share, value in places:
        data[int(share * len(data))] = value
    try:
        photo = decode_photo(bytes(data), DecodeLimits(max_pixels=10**6))
    except InputError:
        return
    assert photo.pixels.ndim == 3
    assert photo.pixels.shape[2] == 3


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_never_crash(data: bytes) -> None:
    with pytest.raises(InputError):
        decode_photo(data)
