"""Names, hashes, codes and quality, as an operator would notice them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import saved, scene
from PIL import Image, ImageFilter

from models_runtime.intake.codes import clean_text, read_codes
from models_runtime.intake.decode import decode_photo
from models_runtime.intake.hashes import NEAR_DUPLICATE, hamming, perceptual_hash
from models_runtime.intake.names import clean_name
from models_runtime.intake.quality import photo_quality

DATA = Path(os.environ.get("LOUPE_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("IMG_0001.JPG", "IMG_0001.JPG"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cell 1.png", "cell 1.png"),
        ("a\x00b\x1b[31m.jpg", "ab[31m.jpg"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("Cafe\u0301.jpg", "Café.jpg"),
        ("...", "photo"),
        ("", "photo"),
        ("  .hidden.jpg ", "hidden.jpg"),
        ('we"ird<name>?.jpg', "we_ird_name_.jpg"),
        ("folder/", "folder"),
    ],
)
def test_file_name_is_cleaned(raw: str, clean: str) -> None:
    assert clean_name(raw) == clean


def test_long_name_keeps_its_suffix() -> None:
    name = clean_name("ä" * 400 + ".jpeg")
    assert name.endswith(".jpeg")
    assert len(name.encode()) <= 200


@given(st.text(max_size=400))
def test_clean_name_is_safe_and_stable(raw: str) -> None:
    name = clean_name(raw)
    assert name
    assert len(name) <= 120
    assert len(name.encode()) <= 200
    assert not set(name) & set('/\\<>:"|?*\0')
    assert name not in (".", "..")
    assert all(unicodedata.category(c)[0] != "C" for c in name)
    assert clean_name(name) == name


def textured(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((480, 360), Image.Resampling.BICUBIC))


def test_smaller_copy_counts_as_the_same_photo_and_another_does_not() -> None:
    first = textured(1)
    copy = Image.fromarray(first).resize((240, 180))
    again = decode_photo(saved(copy, "JPEG", quality=60)).pixels
    assert hamming(perceptual_hash(first), perceptual_hash(again)) <= NEAR_DUPLICATE
    assert hamming(perceptual_hash(first), perceptual_hash(textured(2))) > 2 * NEAR_DUPLICATE


def test_hash_fits_a_signed_bigint() -> None:
    hashes = [perceptual_hash(textured(seed)) for seed in range(20)]
    assert all(-(2**63) <= value < 2**63 for value in hashes)
    assert any(value < 0 for value in hashes)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_hamming_is_a_distance(left: int, right: int) -> None:
    assert hamming(left, right) == hamming(right, left)
    assert 0 <= hamming(left, right) <= 64
    assert (hamming(left, right) == 0) == (left == right)


def photo_with_qr(text: str) -> np.ndarray:
    code = cv2.QRCodeEncoder_create().encode(text)
    photo = np.full((900, 1200, 3), 190, dtype=np.uint8)
    large = cv2.resize(code, None, fx=10, fy=10, interpolation=cv2.INTER_NEAREST)
    photo[200 : 200 + large.shape[0], 300 : 300 + large.shape[1]] = large[..., None]
    return photo


def test_qr_code_gives_the_units_reference_and_where_it_is() -> None:
    (code,) = read_codes(photo_with_qr("UNIT-0042/A"))
    assert (code.kind, code.text) == ("QR", "UNIT-0042/A")
    x, y = code.corners[0]
    assert 290 < x < 360
    assert 190 < y < 260


def test_codes_are_found_in_a_large_photo() -> None:
    large = np.repeat(np.repeat(photo_with_qr("LOT 7"), 4, axis=0), 4, axis=1)
    (code,) = read_codes(large)
    assert code.text == "LOT 7"
    assert 1160 < code.corners[0][0] < 1440


def ean13_bars(digits: str) -> str:
    left = ["0001101", "0011001", "0010011", "0111101", "0100011",
            "0110001", "0101111", "0111011", "0110111", "0001011"]  # fmt: skip
    right = ["".join("10"[int(bit)] for bit in code) for code in left]
    mirrored = [code[::-1] for code in right]
    parity = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG",
              "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"][int(digits[0])]  # fmt: skip
    first = "".join(
        (left if p == "L" else mirrored)[int(d)] for p, d in zip(parity, digits[1:7], strict=True)
    )
    return "101" + first + "01010" + "".join(right[int(d)] for d in digits[7:]) + "101"


def test_product_barcode_is_read() -> None:
    bars = np.array([0 if bit == "1" else 255 for bit in ean13_bars("4006381333931")], np.uint8)
    photo = np.full((600, 800, 3), 255, dtype=np.uint8)
    photo[100:220, 100 : 100 + 3 * len(bars)] = np.repeat(bars, 3)[None, :, None]
    (code,) = read_codes(photo)
    assert (code.kind, code.text) == ("EAN-13", "4006381333931")


def test_photo_without_codes_gives_none() -> None:
    assert read_codes(textured(3)) == ()
    assert read_codes(np.zeros((1, 1, 3), np.uint8)) == ()
    assert read_codes(np.zeros((3, 7000, 3), np.uint8)) == ()


def test_text_of_a_code_is_bounded_and_printable() -> None:
    assert clean_text("A\x00B\x1b[0m\u202e" + "x" * 500) == "AB[0m" + "x" * 195


def test_ordinary_photo_gets_no_warning() -> None:
    rng = np.random.default_rng(0)
    sharp = np.asarray(scene(600, 400)).astype(int) + rng.integers(-12, 12, (400, 600, 1))
    assert photo_quality(sharp.clip(0, 255).astype(np.uint8)).warnings == ()


def test_blurred_photo_is_told_to_the_operator() -> None:
    blurred = scene(600, 400).filter(ImageFilter.GaussianBlur(8))
    (warning,) = photo_quality(np.asarray(blurred)).warnings
    assert "blurred" in warning


@pytest.mark.parametrize(("low", "high", "says"), [(0, 25, "very dark"), (251, 256, "overexposed")])
def test_bad_exposure_is_told_to_the_operator(low: int, high: int, says: str) -> None:
    noise = np.random.default_rng(0).integers(low, high, (60, 90, 1), dtype=np.uint16)
    coarse = Image.fromarray(np.repeat(noise, 3, axis=2).astype(np.uint8))
    pixels = np.asarray(coarse.resize((360, 240), Image.Resampling.NEAREST))
    assert says in " ".join(photo_quality(pixels).warnings)


def test_covered_lens_and_tiny_picture_are_told() -> None:
    flat = photo_quality(np.full((200, 300, 3), 90, np.uint8))
    assert "lens" in flat.warnings[0]
    tiny = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert "20 px" in photo_quality(tiny).warnings[-1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (4000, 3), (3000, 4000)])
def test_any_shape_is_measured(shape: tuple[int, int]) -> None:
    quality = photo_quality(np.full((*shape, 3), 77, np.uint8))
    assert quality.mean == 77


@pytest.mark.data
@pytest.mark.parametrize("folder", ["solar", "roads", "cookies", "toys", "clothing", "stations"])
def test_real_photos_are_not_nagged_and_blurred_copies_are(folder: str) -> None:
    photos = sorted((DATA / folder / "images").glob("*"))[::29][:25]
    if not photos:
        pytest.skip(f"no photos in {DATA / folder}: set LOUPE_DATA")
    plain = blurred = 0
    for path in photos:
        image = Image.fromarray(decode_photo(path).pixels)
        soft = image.filter(ImageFilter.GaussianBlur(max(image.size) * 0.01))
        plain += bool(photo_quality(np.asarray(image)).warnings)
        blurred += any("blurred" in w for w in photo_quality(np.asarray(soft)).warnings)
    assert plain <= 1
    assert blurred >= 0.9 * len(photos)
