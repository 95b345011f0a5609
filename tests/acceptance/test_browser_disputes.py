"""A dispute in two real browsers: the reviewer's desk, and the phone of the inspected party."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import opened
from dispute_world import decided, linked
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page, expect
from screen_world import SECRET, Screens, jpeg, make_inspection, make_screens

from inspection.models import (
    DisputeLink,
    DisputePhoto,
    DisputeStatement,
    Finding,
    Inspection,
    Photo,
    PlanVersion,
)
from inspection.services import reviews
from inspection.services.disputes import links, photos, statements
from models_runtime import masks

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHOTS = os.environ.get("LOUPE_SHOTS", "")
"""A folder for pictures of what the tests see; none are taken without it."""
LONG = "Ein ziemlich langer Satz mit Donaudampfschifffahrtsgesellschaftskapitänswitwenrente. " * 6


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> Screens:
    """The unit, with photos of before and now that show something, and a scale."""
    monkeypatch.setattr(reviews.app, "send_task", lambda *a, **k: None)
    monkeypatch.setattr(photos, "wake", lambda pk: not photos.read_photo(pk))
    world = make_screens()
    with_scale(world)
    earlier = make_inspection(world.site, world.plan, reference=SECRET, status="decided")
    picture(earlier.photos.get(), dented=False)
    picture(world.photo, dented=True)
    step = world.run.steps.get(step="segment")
    said = {"inspection": str(earlier.pk), "photos": {str(world.photo.pk): {"likeness": 0.9}}}
    step.output = {"earlier": said}
    step.save()
    dent(world.findings[0])
    return world


def with_scale(world: Screens) -> None:
    """A version of the plan that knows how large a pixel is, and what a dent is."""
    spec = world.plan.current.spec | {"mm_per_px": 0.25}
    spec["defects"][0] |= {
        "definition": "The sheet is pressed in: a shadow at one edge, a bright rim at the other.",
        "max_area_mm2": 400,
    }
    version = PlanVersion.objects.create(site=world.site, plan=world.plan, number=2, spec=spec)
    world.plan.current = version
    world.plan.save()
    Inspection.objects.filter(pk=world.inspection.pk).update(plan_version=version)
    world.inspection.refresh_from_db()


def picture(photo: Photo, *, dented: bool) -> None:
    """A lid of steel, 1200 × 900 px, with or without a dent."""
    rng = np.random.default_rng(4)
    base = 120 + rng.normal(0, 4, (900, 1200, 1)) + np.linspace(-18, 22, 1200)[None, :, None]
    image = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8).repeat(3, axis=2))
    draw = ImageDraw.Draw(image)
    draw.ellipse((150, 60, 1050, 860), outline=(70, 74, 80), width=14)
    draw.ellipse((500, 360, 700, 560), outline=(90, 92, 96), width=6)
    if dented:
        spot = Image.new("L", image.size)
        ImageDraw.Draw(spot).ellipse((740, 250, 860, 330), fill=150)
        image.paste((40, 42, 46), mask=spot.filter(ImageFilter.GaussianBlur(10)))
        ImageDraw.Draw(image).arc((738, 246, 864, 336), 20, 160, fill=(225, 226, 228), width=5)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    key = default_storage.save(f"test/{photo.pk}.jpg", ContentFile(out.getvalue()))
    Photo.objects.filter(pk=photo.pk).update(
        width=1200, height=900, view_key=key, thumb_key=key, original_key=key
    )
    photo.refresh_from_db()


def dent(finding: Finding) -> None:
    area = np.zeros((900, 1200), dtype=bool)
    y, x = np.ogrid[:900, :1200]
    area[((x - 800) / 62) ** 2 + ((y - 290) / 44) ** 2 <= 1] = True
    mask = masks.encode(area)
    Finding.objects.filter(pk=finding.pk).update(
        x1=738, y1=246, x2=862, y2=334, mask_counts=mask.counts, mask_height=900, mask_width=1200,
        area_px=int(area.sum()), area_mm2=int(area.sum()) * 0.0625, length_px=124, length_mm=31,
    )  # fmt: skip
    finding.refresh_from_db()


@contextmanager
def desk(
    browser: Browser, base: str, screens: Screens, who: str = "reviewer", **options: Any
) -> Iterator[Page]:
    """A browser of somebody signed in."""
    with opened(browser, base, **({"viewport": WIDE} | options)) as page:
        value = screens.client(who).cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": base}]
        )
        yield page


@contextmanager
def phone(browser: Browser, base: str, **options: Any) -> Iterator[Page]:
    """The party's own browser: nobody is signed in."""
    told = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with opened(browser, base, **(told | options)) as page:
        yield page


def open_unit(page: Page, inspection: Inspection) -> None:
    page.goto(f"/inspections/{inspection.pk}/")
    expect(page.locator("#disputes-title")).to_be_visible()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def lid(name: str = "old.jpg", seed: int = 5) -> Any:
    return {"name": name, "mimeType": "image/jpeg", "buffer": jpeg(640, 480, seed)}


def test_from_the_link_to_the_answer(browser: Browser, live_server: Any, screens: Screens) -> None:
    base, unit, finding = live_server.url, decided(screens), screens.findings[0]
    with desk(browser, base, screens) as page, phone(browser, base) as party:
        open_unit(page, unit)
        page.get_by_text("Make a link for the inspected party").click()
        page.get_by_label("It shows").select_option(label="1. Dent")
        page.get_by_label("For whom").fill("Supplier")
        page.get_by_role("button", name="Make the link").click()
        address = page.get_by_label("The new link").input_value()
        token = address.rstrip("/").rpartition("/")[2]
        party.goto(f"/dispute/{token}/")
        expect(party.get_by_role("heading", level=1)).to_have_text(f"A finding on {SECRET}")
        expect(party.locator("body")).to_contain_text("The sheet is pressed in")
        expect(party.locator("body")).to_contain_text("31.0 mm long")
        expect(party.locator("body")).to_contain_text("Up to 400 mm² is tolerated.")
        expect(party.locator("body")).not_to_contain_text("Scratch")
        expect(party.locator("[data-mask] image")).to_have_count(2)
        party.get_by_role("button", name="Swipe").click()
        party.get_by_label("How much of the photo of now").fill("30")
        assert (
            party.locator(".compare").evaluate("box => box.style.getPropertyValue('--cut')")
            == "70%"
        )
        party.get_by_label("What do you say to it?").fill("It left us without a dent.")
        party.locator("#photos").set_input_files([lid("one.jpg"), lid("two.jpg", 6)])
        expect(party.locator("#drafted")).to_contain_text("two.jpg: ready")
        party.get_by_role("button", name="Remove two.jpg").click()
        expect(party.locator("#drafted li")).to_have_count(1)
        party.get_by_label("Your name").fill("Lid makers")
        party.get_by_role("button", name="Send statement").click()
        said = party.locator("#sent")
        expect(said).to_contain_text("Its reference is")
        statement = DisputeStatement.objects.get()
        expect(said).to_contain_text(statement.reference)
        expect(party.locator(".thumbs img")).to_have_count(1)
        open_unit(page, unit)
        expect(page.locator("#disputes")).to_contain_text("It left us without a dent.")
        expect(page.locator("#disputes .thumbs img")).to_have_js_property("complete", True)
        expect(page.locator("#disputes")).to_contain_text("Opened")
        page.get_by_label("Withdraw the finding").check()
        page.get_by_label("In words for the party").fill("You are right, it came later.")
        page.get_by_label("Decision on the unit").select_option("accept")
        page.get_by_role("button", name="Send answer").click()
        expect(page.locator("#toasts")).to_contain_text("at the party's link now")
        expect(page.locator(f"#finding-{finding.pk}[data-status=rejected]")).to_be_visible()
        expect(page.locator("#decision")).to_contain_text("Accept")
        party.reload()
        expect(party.locator("body")).to_contain_text("You are right, it came later.")
        expect(party.locator("body")).to_contain_text("has withdrawn this finding")
        expect(party.locator("body")).not_to_contain_text("lid-reviewer")
        assert party.context.cookies() == []


def test_nothing_is_lost_by_a_bad_photo_a_lost_connection_or_a_reload(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    _, token = linked(screens)
    with phone(browser, live_server.url) as party:
        party.goto(f"/dispute/{token}/")
        party.get_by_label("What do you say to it?").fill("Kept words")
        text = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"not a photo"}
        party.locator("#photos").set_input_files([lid("good.jpg"), text])
        expect(party.locator("#drafted")).to_contain_text("good.jpg: ready")
        expect(party.locator(".draft.is-bad")).to_contain_text("note.txt")
        party.get_by_role("button", name="Remove note.txt").click()
        party.route(f"**/dispute/{token}/", lambda route: route.abort())
        party.get_by_role("button", name="Send statement").click()
        expect(party.locator("#errors")).to_contain_text("No connection")
        expect(party.get_by_label("What do you say to it?")).to_have_value("Kept words")
        party.unroute(f"**/dispute/{token}/")
        party.reload()
        expect(party.get_by_label("What do you say to it?")).to_have_value("Kept words")
        expect(party.locator("#drafted")).to_contain_text("good.jpg: ready")
        party.get_by_role("button", name="Send statement").click()
        expect(party.locator("#sent")).to_be_visible()
        expect(party.get_by_label("What do you say to it?")).to_have_value("")
    assert DisputeStatement.objects.get().photos.count() == 1
    assert DisputePhoto.objects.count() == 1


def test_a_link_that_is_revoked_while_somebody_writes(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    link, token = linked(screens)
    with phone(browser, live_server.url) as party:
        party.goto(f"/dispute/{token}/")
        party.get_by_label("What do you say to it?").fill("Half a page of words")
        links.revoke(screens.memberships["manager"], link)
        party.get_by_role("button", name="Send statement").click()
        expect(party.locator("#errors")).to_contain_text("opens nothing any more")
        expect(party.get_by_label("What do you say to it?")).to_have_value("Half a page of words")
        party.goto(f"/dispute/{token}/")
        expect(party.get_by_role("heading")).to_have_text("This link opens nothing")


def test_without_scripts_the_page_works_too(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    _, token = linked(screens)
    with phone(browser, live_server.url, java_script_enabled=False) as party:
        party.goto(f"/dispute/{token}/")
        party.get_by_label("What do you say to it?").fill("Without scripts")
        party.locator("#photos").set_input_files([lid()])
        party.get_by_role("button", name="Send statement").click()
        expect(party.locator("#sent")).to_contain_text("Its reference is")
    assert DisputeStatement.objects.get().photos.get().status == "ready"


def test_a_statement_that_comes_in_while_the_answer_is_written(
    browser: Browser, live_server: Any, screens: Screens
) -> None:
    from uuid import uuid4

    link, _ = linked(screens, screens.findings[0])
    statements.state(link, uuid4(), "The first one")
    with desk(browser, live_server.url, screens) as page:
        open_unit(page, screens.inspection)
        page.get_by_label("Uphold: it stays as it is").check()
        page.get_by_label("In words for the party").fill("We see a dent.")
        statements.state(link, uuid4(), "The second one")
        page.get_by_role("button", name="Send answer").click()
        expect(page.get_by_role("alert")).to_contain_text("The party has written again")
        expect(page.locator("#disputes")).to_contain_text("The second one")
        expect(page.get_by_label("In words for the party")).to_have_value("We see a dent.")
        page.get_by_role("button", name="Send answer").click()
        expect(page.locator("#disputes")).to_contain_text("Upheld")


def furnished(screens: Screens) -> dict[str, tuple[str, str]]:
    """Pages with something on them, and who looks."""
    from uuid import uuid4

    from inspection.services.disputes.answers import Answer, answer

    link, token = linked(screens, screens.findings[0], label="Supplier")
    draft = uuid4()
    for number in range(3):
        data = io.BytesIO(jpeg(640, 480, number))
        photos.add_photo(link, draft, str(number), f"photo {number}.jpg", data, 100)
    said = statements.state(link, draft, LONG, "A rather long name of a company and co")
    answer(screens.memberships["reviewer"], link, said.pk, Answer("upheld", LONG))
    statements.state(link, uuid4(), "I still see no dent on my own photo.")
    whole, of_unit = linked(screens, label="Owner " + "unbroken" * 9)
    linked(screens, screens.findings[1])
    links.revoke(screens.memberships["manager"], whole)
    _, fresh = linked(screens)
    unit = screens.inspection.pk
    return {
        "said": ("", f"/dispute/{token}/"),
        "fresh": ("", f"/dispute/{fresh}/"),
        "closed": ("", f"/dispute/{of_unit}/"),
        "unit": ("manager", f"/inspections/{unit}/"),
        "list": ("reviewer", "/disputes/"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desk", "phone"])
def test_pages_of_disputes_can_be_read_by_everybody(
    browser: Browser, live_server: Any, screens: Screens, scheme: Any, viewport: Any
) -> None:
    """axe finds no violation, and no page is wider than the screen; empty and furnished."""
    axe, problems = Axe(), []
    size = "phone" if viewport is PHONE else "desk"
    pages = {
        "empty": ("reviewer", "/disputes/"),
        "before": ("reviewer", f"/inspections/{screens.inspection.pk}/"),
    }
    pages_of = [pages, None]
    for given in pages_of:
        for name, (who, address) in (given or furnished(screens)).items():
            options = {"viewport": viewport, "color_scheme": scheme}
            maker = desk(browser, live_server.url, screens, who, **options) if who else None
            with maker or opened(browser, live_server.url, **options) as page:
                page.goto(address)
                page.wait_for_load_state("networkidle")
                if name == "unit":
                    page.get_by_label("Change the class, the severity or the decision").check()
                    page.get_by_text("Make a link for the inspected party").click()
                shot(page, f"{name}-{size}-{scheme}")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                problems += [f"{name} is {wide} px too wide"] * (wide > 0)
                found = axe.run(page, options={"resultTypes": ["violations"]})
                problems += [f"{name}: {found.generate_report()}"] * bool(found.violations_count)
                if name == "fresh" and page.locator(".compare.has-before").count():
                    page.get_by_role("button", name="Swipe").first.click()
                    shot(page, f"swipe-{size}-{scheme}")
    assert not problems, "\n".join(problems)
    assert DisputeLink.objects.count() == 4
