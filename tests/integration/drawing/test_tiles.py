"""Tiles of large photos and the heat map: made by workers, served with care."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from drawing_world import start
from PIL import Image
from screen_world import Screens, make_inspection, stored

from inspection.models import Photo, StepRun
from inspection.pipeline import heat, intake, tasks, tiles, wake
from inspection.pipeline.photos import PhotoRef
from inspection.selectors.tiles import level_sizes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def gradient(width: int, height: int) -> np.ndarray:
    """Red goes from left to right, green from top to bottom: every place has its colour."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return pixels


def large(world: Screens, width: int = 4500, height: int = 1100) -> np.ndarray:
    """Let the photo of this world be a large one from before there were tiles."""
    pixels = gradient(width, height)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    values = {"original_key": stored(out.getvalue()), "width": width, "height": height}
    Photo.objects.filter(pk=world.photo.pk).update(**values)
    return pixels


def tile(world: Screens, level: int, x: int, y: int) -> np.ndarray:
    answer = world.client("operator").get(f"{start(world)}tiles/{level}/{x}/{y}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    return np.asarray(Image.open(io.BytesIO(b"".join(answer.streaming_content))), np.int16)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        wake.app, "send_task", lambda name, args, **options: sent.append((name, args))
    )
    return sent


def test_levels_halve_until_one_tile_holds_all() -> None:
    assert level_sizes(8700, 5800) == [
        (8700, 5800), (4350, 2900), (2175, 1450), (1088, 725), (544, 363),
    ]  # fmt: skip
    assert level_sizes(1024, 3) == [(1024, 3)]


def test_an_older_large_photo_gets_its_tiles_when_it_is_opened(
    screens: Screens, asked: list[tuple[str, list[str]]]
) -> None:
    pixels = large(screens)
    client = screens.client("reviewer")
    client.get(start(screens))
    assert asked == [(wake.TILE, [str(screens.photo.pk)])]
    assert client.get(f"{start(screens)}state/").json()["tiles"] is None
    assert client.get(f"{start(screens)}tiles/0/0/0").status_code == 404
    tasks.tile(str(screens.photo.pk))
    told = client.get(f"{start(screens)}state/").json()["tiles"]
    assert (told["size"], told["levels"]) == (1024, 4)
    assert told["url"] == f"{start(screens)}tiles/{{level}}/{{x}}/{{y}}"
    client.get(start(screens))
    assert len(asked) == 1
    for level, (wide, high) in enumerate(level_sizes(4500, 1100)):
        for x in range(0, wide, 1024):
            for y in range(0, high, 1024):
                found = tile(screens, level, x // 1024, y // 1024)
                assert found.shape == (min(1024, high - y), min(1024, wide - x), 3)
                middle = (y + found.shape[0] // 2) * 2**level, (x + found.shape[1] // 2) * 2**level
                there = pixels[min(middle[0], 1099), min(middle[1], 4499)].astype(np.int16)
                here = found[found.shape[0] // 2, found.shape[1] // 2]
                assert abs(here - there).max() <= 4, (level, x, y)


def test_what_is_no_tile_is_not_found(screens: Screens) -> None:
    large(screens)
    tasks.tile(str(screens.photo.pk))
    client, address = screens.client("reviewer"), f"{start(screens)}tiles/"
    for wrong in ("0/5/0", "0/0/2", "4/0/0", "99/0/0", f"0/{10**30}/0", "-1/0/0", "0/0/x",
                  "0/0/..", "0/0/%2e%2e%2fview.jpg", "../0/0", "0/0/0.jpg"):  # fmt: skip
        assert client.get(address + wrong).status_code == 404, wrong
    assert screens.client("stranger").get(f"{address}0/0/0").status_code == 404
    other = make_inspection(screens.site, screens.plan)
    mixed = f"/inspections/{other.pk}/photos/{screens.photo.pk}/draw/tiles/0/0/0"
    assert client.get(mixed).status_code == 404
    again = client.get(f"{address}0/0/0", headers={"If-None-Match": '"0_0.jpg"'})
    assert again.status_code == 304


def test_a_photo_that_fits_the_served_copy_has_no_tiles(screens: Screens, asked: list[Any]) -> None:
    screens.client("reviewer").get(start(screens))
    assert asked == []
    tasks.tile(str(screens.photo.pk))
    screens.photo.refresh_from_db()
    assert screens.photo.tiles_key == ""


def test_a_photo_whose_file_is_gone_costs_the_worker_nothing(screens: Screens) -> None:
    large(screens)
    Photo.objects.filter(pk=screens.photo.pk).update(original_key="originals/gone")
    tasks.tile(str(screens.photo.pk))
    screens.photo.refresh_from_db()
    assert screens.photo.tiles_key == ""


def test_intake_cuts_large_photos_only(screens: Screens) -> None:
    large(screens, 4200, 90)
    screens.photo.refresh_from_db()
    ref = PhotoRef(screens.photo.pk, screens.photo.original_key)
    (read,), _ = intake.compute((ref,))
    assert read.columns["tiles_key"] == f"tiles/{ref.id}"
    assert default_storage.exists(f"tiles/{ref.id}/0/4_0.jpg")
    small = make_inspection(screens.site, screens.plan).photos.get()
    (read,), _ = intake.compute((PhotoRef(small.pk, small.original_key),))
    assert read.columns["tiles_key"] == ""


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 5), (2049, 3), (3, 4097)])
def test_halving_is_the_mean_of_what_is_there(width: int, height: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3)).astype(np.uint8)
    half = tiles.halved(pixels)
    assert half.shape == ((height + 1) // 2, (width + 1) // 2, 3)
    y, x = (half.shape[0] - 1), (half.shape[1] - 1)
    there = pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(-1, 3).mean(axis=0)
    assert abs(half[y, x] - there).max() <= 1


def test_the_heat_of_a_comparison_lies_over_the_photo(screens: Screens) -> None:
    address = f"{start(screens)}heat.png"
    client = screens.client("operator")
    assert client.get(address).status_code == 404
    assert client.get(f"{start(screens)}state/").json()["heat_url"] is None
    hot = np.zeros((6, 8), np.float32)
    hot[2, 5], hot[3, 5] = 3.0, 1.0
    key = heat.keep_heat(screens.photo.pk, hot)
    output = {"heat": {str(screens.photo.pk): key}}
    StepRun.objects.filter(run=screens.run, step="segment").update(output=output)
    url = client.get(f"{start(screens)}state/").json()["heat_url"]
    assert url.startswith(f"{address}?v=")
    answer = client.get(url)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    shown = np.asarray(Image.open(io.BytesIO(b"".join(answer.streaming_content))))
    assert shown.shape == (6, 8, 4)
    assert shown[0, 0, 3] == 0
    assert shown[2, 5].tolist() == [189, 0, 38, 190]
    assert 0 < shown[3, 5, 3] < 190
    assert screens.client("stranger").get(url).status_code == 404
