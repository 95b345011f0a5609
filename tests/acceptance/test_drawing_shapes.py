"""What the drawing page computes with masks, in a real browser against NumPy and OpenCV."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from browser_world import opened
from playwright.sync_api import Browser, Page

from inspection.environment import PROJECT_ROOT
from models_runtime import masks
from models_runtime.contracts import Mask

pytestmark = [pytest.mark.acceptance]
HEIGHT, WIDTH = 61, 83
FRAME = {"width": WIDTH, "height": HEIGHT}
MODULES = ("runs", "raster", "shapes", "history", "mask", "model", "view")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The project's static files, and nothing in the test's output."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = partial(Quiet, directory=str(PROJECT_ROOT / "static"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page with the modules at hand as ``M``; they know no document."""
    with opened(browser, address) as page:
        page.goto("/img/favicon.svg")
        names = ", ".join(f"import('/js/drawing/{name}.js')" for name in MODULES)
        page.evaluate(
            f"async () => {{ window.M = Object.assign({{}}, ...await Promise.all([{names}])); }}"
        )
        yield page


def counts(pixels: np.ndarray) -> str:
    return masks.encode(pixels).counts


def pixels(text: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return masks.decode(Mask(size=size, counts=text))


def blobs(seed: int, share: float = 0.6) -> np.ndarray:
    """Random smooth blobs with holes and crumbs."""
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH))
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.2) > np.quantile(noise, share) * 0.85)


def some() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    corner = np.zeros((HEIGHT, WIDTH), bool)
    corner[0, 0] = corner[-1, -1] = True
    column = np.zeros((HEIGHT, WIDTH), bool)
    column[:, 3:6] = True
    return [
        *(blobs(seed) for seed in range(4)),
        *(rng.random((HEIGHT, WIDTH)) < share for share in (0.02, 0.5, 0.97)),
        np.zeros((HEIGHT, WIDTH), bool),
        np.ones((HEIGHT, WIDTH), bool),
        corner,
        column,
    ]


def call(page: Page, expression: str, *given: Any) -> Any:
    """``expression`` with M, frame, and what is given as a, b, c."""
    names = ", ".join("abcd"[: len(given)])
    return page.evaluate(
        f"([frame, {names}]) => {{ const {{ width, height }} = frame; return ({expression}); }}",
        [FRAME, *given],
    )


def out(runs: str) -> str:
    return f"M.toCounts({runs}, width * height)"


def test_masks_go_over_the_wire_as_pycocotools_writes_them(page: Page) -> None:
    for area in some():
        text = counts(area)
        assert call(page, out("M.fromCounts(a)"), text) == text
        assert call(page, "M.area(M.fromCounts(a))", text) == area.sum()
        box = call(page, "M.bounds(M.fromCounts(a), height)", text)
        rows, columns = np.nonzero(area)
        if not area.any():
            assert box is None
            continue
        assert [box["x"], box["y"]] == [columns.min(), rows.min()]
        assert [box["width"], box["height"]] == [np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_the_algebra_of_sets_is_that_of_pixels(page: Page) -> None:
    areas = some()
    laws = {
        "union": lambda a, b: a | b,
        "intersect": lambda a, b: a & b,
        "subtract": lambda a, b: a & ~b,
    }
    for first in areas:
        for second in areas[::2]:
            for name, law in laws.items():
                expression = out(f"M.{name}(M.fromCounts(a), M.fromCounts(b))")
                seen = call(page, expression, counts(first), counts(second))
                assert seen == counts(law(first, second)), name


def test_a_point_is_in_the_mask_where_its_pixel_is(page: Page) -> None:
    area = blobs(3)
    seen = call(
        page,
        "Array.from({ length: width * height }, (_, i) =>"
        " M.has(M.fromCounts(a), i % width, Math.floor(i / width), height))",
        counts(area),
    )
    assert (np.array(seen).reshape(HEIGHT, WIDTH) == area).all()


def test_moved_shapes_keep_their_form_and_are_cut_at_the_edge(page: Page) -> None:
    area = blobs(5)
    for dx, dy in [(0, 0), (3, -4), (-80, 2), (5, 60), (200, 0)]:
        seen = call(
            page,
            out("M.moved(M.fromCounts(a), height, b, c, frame)"),
            counts(area),
            dx,
            dy,
        )
        wanted = np.zeros_like(area)
        rows, columns = np.nonzero(area)
        rows, columns = rows + dy, columns + dx
        keep = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
        wanted[rows[keep], columns[keep]] = True
        assert seen == counts(wanted)


def test_connected_parts_are_those_of_opencv(page: Page) -> None:
    for area in some():
        for by_sides, connectivity in ((False, 8), (True, 4)):
            text = json.dumps(by_sides)
            found = call(
                page,
                f"M.parts(M.fromCounts(a), height, {{ bySides: {text} }})"
                ".map((part) => M.toCounts(part, width * height))",
                counts(area),
            )
            number, labels = cv2.connectedComponents(
                area.astype(np.uint8), connectivity=connectivity
            )
            assert set(found) == {counts(labels == label) for label in range(1, number)}
            sizes = [int(pixels(text).sum()) for text in found]
            assert sizes == sorted(sizes, reverse=True)


def test_holes_are_filled_and_nothing_else(page: Page) -> None:
    for area in some():
        seen = pixels(call(page, out("M.fillHoles(M.fromCounts(a), height)"), counts(area)))
        padded = np.pad((~area).astype(np.uint8), 1, constant_values=1)
        _, labels = cv2.connectedComponents(padded, connectivity=4)
        wanted = ~(labels == labels[0, 0])[1:-1, 1:-1]
        assert (seen == wanted).all() if area.any() else not seen.any()


def test_smoothing_is_a_majority_of_the_square_around(page: Page) -> None:
    for area in some():
        for radius in (1, 2, 5):
            seen = pixels(
                call(page, out("M.smooth(M.fromCounts(a), frame, b)"), counts(area), radius)
            )
            side = 2 * radius + 1
            padded = np.pad(area.astype(np.float64), radius)
            windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
            wanted = windows.sum((2, 3)) > side**2 / 2
            assert (seen == (wanted if wanted.any() else area)).all()


def test_a_brush_covers_what_is_within_its_radius_of_the_stroke(page: Page) -> None:
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for _ in range(40):
        x1, y1, x2, y2 = rng.uniform(-10, 90, 4)
        radius = rng.uniform(0.8, 14)
        seen = pixels(call(page, out("M.capsule(...a, b, frame)"), [x1, y1, x2, y2], radius))
        along = np.clip(
            ((columns - x1) * (x2 - x1) + (rows - y1) * (y2 - y1))
            / ((x2 - x1) ** 2 + (y2 - y1) ** 2), 0, 1
        )  # fmt: skip
        far = np.hypot(columns - x1 - along * (x2 - x1), rows - y1 - along * (y2 - y1))
        assert (seen == (far <= radius))[np.abs(far - radius) > 1e-6].all()
    dot = pixels(call(page, out("M.capsule(10.5, 20.5, 10.5, 20.5, 0.5, frame)")))
    assert np.argwhere(dot).tolist() == [[20, 10]], "the smallest brush paints one pixel"


def test_a_polygon_has_the_pixels_whose_middle_is_inside(page: Page) -> None:
    triangle = [[5.0, 5.0], [70.0, 12.0], [30.0, 55.0]]
    seen = pixels(call(page, out("M.polygon(a, frame)"), triangle))
    outline = np.array(triangle, np.float32).reshape(-1, 1, 2)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            far = cv2.pointPolygonTest(outline, (column + 0.5, row + 0.5), True)
            assert abs(far) < 1e-3 or seen[row, column] == (far > 0)
    # A loop that crosses itself: what it goes around twice is inside, not a hole.
    star = [[40, 2], [55, 55], [5, 20], [75, 20], [20, 55]]
    assert pixels(call(page, out("M.polygon(a, frame)"), star))[28, 40]
    outside = pixels(
        call(page, out("M.polygon(a, frame)"), [[-50, -50], [500, -50], [500, 500], [-50, 500]])
    )
    assert outside.all()


def test_a_line_parts_a_mask_and_no_pixel_is_lost(page: Page) -> None:
    area = np.zeros((HEIGHT, WIDTH), bool)
    area[10:50, 10:70] = True
    area[2:5, 2:5] = True
    pieces = call(
        page,
        "M.cut(M.fromCounts(a), b, frame).map((part) => M.toCounts(part, width * height))",
        counts(area),
        [[30, 0], [33, 30], [31, 60]],
    )
    first, second = (pixels(piece) for piece in pieces)
    assert ((first | second) == area).all()
    assert not (first & second).any()
    assert first.sum() > second.sum() > 500
    assert first[3, 3], "a part that the line does not touch stays with the largest"
    short = "M.cut(M.fromCounts(a), b, frame).length"
    assert call(page, short, counts(area), [[30, 20], [30, 40]]) == 1


def test_a_mask_of_another_photo_lies_at_the_same_place(page: Page) -> None:
    area = blobs(8)
    size = {"width": WIDTH * 2, "height": HEIGHT * 2}
    text = call(
        page,
        "M.toCounts(M.scaled(M.fromCounts(a), frame, b), b.width * b.height)",
        counts(area),
        size,
    )
    wanted = np.kron(area, np.ones((2, 2), bool))
    assert (pixels(text, (HEIGHT * 2, WIDTH * 2)) == wanted).all()


def test_steps_are_undone_and_redone_and_a_new_one_ends_redoing(page: Page) -> None:
    seen = page.evaluate(
        """() => {
          const history = new M.History("a", 3);
          history.push("b", "to b"); history.push("c", "to c");
          const words = [history.undo(), history.undo(), history.undo()];
          words.push(history.redo(), history.state);
          history.push("d", "to d");
          words.push(history.canRedo, history.state);
          for (const letter of "efghi") history.push(letter, letter);
          return [...words, history.states.length, history.state];
        }"""
    )
    assert seen == ["to c", "to b", "", "to b", "b", False, "d", 3, "i"]


SERVER = [
    {"id": "f1", "was": "w1", "number": 1, "type": "dent", "severity": "major", "status": "open",
     "box": [1, 2, 3, 4], "mask": None, "color": "#4477aa"},
    {"id": "f2", "was": "w2", "number": 2, "type": "dent", "severity": "major", "status": "open",
     "box": [5, 5, 9, 9], "mask": None, "color": "#4477aa"},
]  # fmt: skip


def test_only_what_was_changed_is_sent(page: Page) -> None:
    text = counts(blobs(2))
    seen = page.evaluate(
        """([told, counts]) => {
          const mask = M.Mask.received({ size: [61, 83], counts });
          let doc = M.documentOf(told.map(M.received));
          const none = M.changesOf(doc);
          doc = M.withShape(doc, "f1", { mask });
          doc = M.withShape(doc, "f2", { rejected: { reason: "dirt", comment: "" } });
          doc = M.withNew(doc, M.drawn({ type: "scratch", severity: "minor", box: [1, 1, 5, 5] }));
          return [none, M.changesOf(doc)];
        }""",
        [SERVER, text],
    )
    none, changes = seen
    assert none == []
    mask = {"size": [HEIGHT, WIDTH], "counts": text}
    assert changes == [
        {"op": "change", "finding": "f1", "was": "w1", "mask": mask, "box": None},
        {"op": "reject", "finding": "f2", "was": "w2", "reason": "dirt", "comment": ""},
        {"op": "add", "type": "scratch", "severity": "minor", "mask": None, "box": [1, 1, 5, 5]},
    ]


def test_a_draft_comes_back_as_it_was_and_tells_what_others_changed(page: Page) -> None:
    seen = page.evaluate(
        """([told, counts]) => {
          const mask = M.Mask.received({ size: [61, 83], counts });
          let doc = M.documentOf(told.map(M.received));
          doc = M.withShape(doc, "f1", { mask });
          doc = M.withShape(doc, "f2", { type: "scratch", hidden: true });
          doc = M.withNew(doc, M.drawn({ type: "dent", severity: "minor", mask }));
          const draft = JSON.parse(JSON.stringify(M.packed(doc)));
          const fresh = () => M.documentOf(told.map(M.received));
          const again = M.unpacked(fresh(), draft);
          const moved = M.documentOf(told.map((one) => M.received({ ...one, was: `${one.was}x` })));
          const alone = M.unpacked(M.documentOf([]), draft);
          return {
            same: JSON.stringify(M.changesOf(again.doc)) === JSON.stringify(M.changesOf(doc)),
            hidden: M.find(again.doc, "f2").hidden,
            stale: again.stale, other: M.unpacked(moved, draft).stale,
            kept: alone.doc.shapes.length, lost: alone.lost,
          };
        }""",
        [SERVER, counts(blobs(2))],
    )
    assert seen == {
        "same": True, "hidden": True, "stale": [], "other": ["f1", "f2"], "kept": 2, "lost": 1,
    }  # fmt: skip


def test_after_a_save_only_what_came_later_is_still_to_be_saved(page: Page) -> None:
    seen = page.evaluate(
        """([told, counts]) => {
          const mask = M.Mask.received({ size: [61, 83], counts });
          let doc = M.documentOf(told.map(M.received));
          doc = M.withShape(doc, "f1", { severity: "minor" });
          doc = M.withNew(doc, M.drawn({ type: "dent", severity: "minor", mask }));
          const sent = doc, fresh = doc.shapes.at(-1).uid;
          doc = M.withShape(doc, "f2", { type: "scratch" });
          doc = M.withShape(doc, fresh, { type: "scratch" });
          const now = [
            { ...told[0], severity: "minor", was: "w1b" }, { ...told[1], was: "w2" },
            { id: "f3", was: "w3", number: 3, type: "dent", severity: "minor", status: "confirmed",
              box: [0, 0, 1, 1], mask: { size: [61, 83], counts }, color: "#4477aa" },
          ];
          return M.changesOf(M.rebased(doc, sent, now));
        }""",
        [SERVER, counts(blobs(2))],
    )
    assert seen == [
        {"op": "change", "finding": "f2", "was": "w2", "type": "scratch"},
        {"op": "change", "finding": "f3", "was": "w3", "type": "scratch"},
    ]
