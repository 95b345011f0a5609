"""What is written is read back the same; what is broken is told, never a crash."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models_runtime import masks
from models_runtime.formats import coco, yolo
from models_runtime.formats.annotated import BadAnnotationsError
from models_runtime.formats.outlines import centre_polygon, edge_polygons, flat, part_count
from models_runtime.formats.shapes import placed

WITHIN = 0.25
BITS = st.tuples(st.integers(1, 10), st.integers(1, 10)).flatmap(
    lambda shape: arrays(np.bool_, shape, elements=st.booleans())
)


def on_photo(bits: np.ndarray, size: tuple[int, int], at: tuple[int, int]) -> np.ndarray:
    """The mask on a photo of ``size`` (width, height)."""
    whole = np.zeros((size[1], size[0]), bool)
    x, y = min(at[0], size[0] - bits.shape[1]), min(at[1], size[1] - bits.shape[0])
    whole[y : y + bits.shape[0], x : x + bits.shape[1]] = bits
    return whole


def read_one(segmentation: object, size: tuple[int, int]) -> np.ndarray:
    value = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "dent"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}
        ],
    }  # fmt: skip
    data = coco.read_coco(coco.parsed_json(json.dumps(value).encode(), "a.json"))
    _, mask = placed(data.photos[0].annotations[0], size)
    assert mask is not None
    return masks.decode(mask)


@settings(max_examples=150, deadline=None)
@given(BITS, st.integers(10, 60), st.integers(10, 60), st.booleans())
def test_any_mask_comes_back_from_coco_runs_and_polygons(bits, width, height, as_list):
    size = (width, height)
    mask = on_photo(bits, size, (3, 5))
    if not mask.any():
        return
    encoded = masks.encode(mask)
    counts: object = encoded.counts
    if as_list:
        edges = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0)).tolist()
        counts = np.diff([0, *edges, mask.size]).tolist()
    runs = {"size": [height, width], "counts": counts}
    assert np.array_equal(read_one(runs, size), mask)
    polygons = [flat(ring) for ring in edge_polygons(mask)]
    assert np.array_equal(read_one(polygons, size), mask)


@settings(max_examples=100, deadline=None)
@given(BITS, st.sampled_from([(37, 41), (1920, 1080), (4032, 3024)]), st.tuples(
    st.integers(0, 4000), st.integers(0, 3000)))  # fmt: skip
def test_any_mask_in_one_part_comes_back_from_a_yolo_outline(bits, size, at):
    if part_count(bits) != 1:
        return
    mask = on_photo(bits, size, at)
    ring = centre_polygon(mask)
    ring += ring[-1:] * (3 - len(ring))
    shares = [
        f"{value / size[place % 2]:.8f}"
        for place, value in enumerate(flat([(x + WITHIN, y + WITHIN) for x, y in ring]))
    ]
    texts = {"classes.txt": b"dent", "labels/a.txt": " ".join(["0", *shares]).encode()}
    (photo,) = yolo.read_yolo(texts).photos
    _, back = placed(photo.annotations[0], size)
    assert back is not None
    assert np.array_equal(masks.decode(back), mask)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "image_id", "category_id", "bbox", "segmentation", "size", "counts", "name",
                 "file_name", "width", "height", "loupe", "score"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON, JSON, st.lists(JSON, max_size=4))
def test_any_json_is_read_or_refused_in_words(images, categories, annotations):
    rows = [
        {"id": 1, "file_name": "a", "width": 9, "height": 9},
        *(images if isinstance(images, list) else []),
    ]
    value = {
        "images": rows,
        "categories": categories if isinstance(categories, list) else [{"id": 1, "name": "a"}],
        "annotations": [
            {"image_id": 1, "category_id": 1} | one if isinstance(one, dict) else one
            for one in annotations
        ],
    }
    try:
        data = coco.read_coco(value)
    except BadAnnotationsError:
        return  # any other error fails
    for photo in data.photos:
        for annotation in photo.annotations:
            with suppress(ValueError):  # told with its place by who calls
                placed(annotation, photo.size or (1, 1))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.-+e \n\tnaif_x", max_size=60), st.binary(max_size=40))
def test_any_label_file_is_read_or_refused_in_words(label, names):
    texts = {"labels/a.txt": label.encode(), "data.yaml": b"names: [a, b]", "classes.txt": names}
    try:
        data = yolo.read_yolo(texts)
    except BadAnnotationsError:
        return  # any other error fails
    for annotation in data.photos[0].annotations:
        placed(annotation, (40, 30))


@pytest.mark.parametrize("text", [b"names: {a: b}", b"- a", b"names: 5", b"&a [*a]", b"\xff", b"{"])
def test_a_list_of_classes_that_is_none_is_refused_in_words(text):
    with pytest.raises(BadAnnotationsError, match=r"data\.yaml"):
        yolo.read_yolo({"labels/a.txt": b"", "data.yaml": text})
