"""The main way, with real processes and real models: from photos that are dropped to a ticket."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_world import opened, sign_in, until
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from inspection.environment import PROJECT_ROOT
from inspection.supervisor.layout import Layout
from inspection.supervisor.postgres import Postgres
from models_runtime.samples import draw_sample

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]
START_SECONDS = 240
# Loading the models takes a minute where other work keeps the machine busy; else seconds.
VERDICT_MS = 180_000
DEFECTS = (("dark", 21), ("cross", 22), ("dark", 23), ("crack", 24))
DROP = """([files]) => {
  const carried = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name, { type: "image/png", lastModified: 1 }));
  }
  const event = new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
  document.getElementById("dropzone").dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Loupe of its own, as `make run` starts it, with the demo site."""
    # Not tmp_path: pytest keeps that below a 0700 directory, where root's Postgres can't go.
    home = Path(tempfile.mkdtemp(prefix="loupe-way-"))
    home.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(home, port)
    try:
        wait_until_ready(process, home / "console.txt")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        process.kill()
        layout = Layout(home / "state")
        for folder in (home, Postgres(layout).home, layout.sockets):
            shutil.rmtree(folder, ignore_errors=True)


def start(home: Path, port: int) -> subprocess.Popen[bytes]:
    inherited = ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    environment |= {
        "LOUPE_STATE": str(home / "state"),
        "LOUPE_PORT": str(port),
        "LOUPE_DEMO": "yes",
        "LOUPE_STOP_SECONDS": "10",
    }
    with (home / "console.txt").open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "inspection.supervisor"],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def wait_until_ready(process: subprocess.Popen[bytes], console: Path) -> None:
    last = time.monotonic() + START_SECONDS
    while "is ready after" not in console.read_text():
        assert process.poll() is None, console.read_text()
        assert time.monotonic() < last, console.read_text()
        time.sleep(0.5)


def drawn(defect: str, seed: int) -> str:
    """A photo of a solar cell with a known defect, as base64 of a PNG."""
    pixels, _ = draw_sample("solar", defect, seed, (400, 400))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode("ascii")


def test_from_dropped_photos_to_a_ticket_with_a_valid_signature(
    browser: Browser,
    address: str,
) -> None:
    with opened(browser, address, viewport={"width": 1440, "height": 900}) as page:
        sign_in(page, "reviewer", "loupe-demo")
        unit, other = drop_and_wait(page)
        page.goto(unit)
        see_findings_with_masks(page)
        correct_one(page)
        page.keyboard.press("r")
        expect(page.locator(".verdict")).to_have_text("Reject")
        expect(page.locator("#decision")).to_contain_text("by reviewer")
        expect(page.locator("#side")).to_contain_text("Delivered", timeout=VERDICT_MS)
        page.goto("/demo/receiver/")
        arrived = page.locator(".arrival", has_text=unit.rstrip("/").rpartition("/")[2]).first
        expect(arrived).to_contain_text("Signature valid")
        page.goto(other)
        page.keyboard.press("a")
        expect(page.locator(".verdict")).to_have_text("Accept")
        expect(page.locator("#decision")).to_contain_text("by reviewer")


def drop_and_wait(page: Page) -> tuple[str, str]:
    """Drop the photos, see them judged live; the page of one with findings, and of another one."""
    page.get_by_label("Inspection plan").select_option("solar-cells")
    page.get_by_label("Reference").fill("Way 1")
    files = [[f"cell-{seed}.png", drawn(defect, seed)] for defect, seed in DEFECTS]
    page.evaluate(DROP, [files])
    expect(page.locator("#batch-summary")).to_contain_text(f"of {len(files)} sent")
    expect(page.locator(".file")).to_have_count(len(files))
    under_way = page.locator(".file[data-state=waiting], .file[data-state=working]")
    expect(under_way.first).to_be_visible()
    judged = page.locator(".file .badge[class*=disposition-]")
    expect(judged).to_have_count(len(files), timeout=VERDICT_MS)
    units = [link.get_attribute("href") or "" for link in page.locator("a.file-name").all()]
    found = [unit for unit in units if 'class="finding ' in page.request.get(unit).text()]
    assert found, "the models found none of the drawn defects"
    return found[0], next(unit for unit in units if unit != found[0])


def see_findings_with_masks(page: Page) -> None:
    until(page, "window.loupeViewer?.osd.world.getItemCount() === 1")
    until(page, "loupeViewer.onPhoto().some((finding) => finding.mask)")
    painted = page.evaluate(
        "loupeViewer.onPhoto().some((f) => f.mask && loupeViewer.maskOf(f).width > 0)"
    )
    assert painted
    expect(page.locator(".step-done").first).to_be_visible()


def correct_one(page: Page) -> None:
    """Make the first finding a dark area of severity critical, by keyboard."""
    page.keyboard.press("j")
    chosen = page.locator(".finding.is-selected")
    kind = chosen.locator("select[name=type]")
    other = "cross" if kind.input_value() != "cross" else "dark"
    kind.select_option(other)
    kind.press("Enter")
    expect(page.locator(".finding.is-selected[data-status=confirmed]")).to_be_visible()
    page.locator(".finding.is-selected .finding-head").focus()
    page.keyboard.press("3")
    expect(page.locator(".finding.sev-edge-critical").first).to_be_visible()
    expect(page.locator("#side")).to_contain_text("changed the finding")
