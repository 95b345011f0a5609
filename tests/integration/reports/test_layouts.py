"""Layouts and the logo: who may, what is refused, what is kept."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, PngImagePlugin
from report_world import pdf_of, unit_report
from screen_world import Screens

from inspection.models import ReportLayout, SiteLogo
from inspection.selectors.reports.parts import PARTS
from inspection.services.intake import fetch
from inspection.services.reports import logo as logos
from inspection.services.reports.layouts import save_layout
from inspection.services.reports.refusals import ReportRefusedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 90), **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#0a6583").save(out, kind, **more)
    return out.getvalue()


def values(**change: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "For Acme", "title": "", "footer": "", "paper": "a4", "parts": ["cover"],
        "shows_logo": True,
    }  # fmt: skip
    return given | change


def test_one_layout_is_the_default(screens: Screens) -> None:
    who = screens.memberships["manager"]
    first = save_layout(who, None, values(), is_default=True)
    second = save_layout(who, None, values(name="For others"), is_default=True)
    first.refresh_from_db()
    assert (first.is_default, second.is_default) == (False, True)
    assert unit_report(screens).layout["name"] == "Standard", "the helper chose none by name"


def test_a_name_is_there_once_and_a_layout_shows_something(screens: Screens) -> None:
    who = screens.memberships["manager"]
    save_layout(who, None, values(), is_default=False)
    with pytest.raises(ReportRefusedError, match="another name"):
        save_layout(who, None, values(), is_default=False)
    with pytest.raises(ReportRefusedError, match="at least one part"):
        save_layout(who, None, values(name="None", parts=["unknown"]), is_default=False)
    with pytest.raises(ReportRefusedError, match="Only quality managers"):
        save_layout(screens.memberships["reviewer"], None, values(name="X"), is_default=False)


def test_what_was_typed_is_kept_where_a_layout_is_refused(screens: Screens) -> None:
    form = {"name": "Mine", "footer": "My footer", "paper": "a4"}
    answer = screens.client("manager").post("/reports/layouts/new/", form)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Choose at least one part" in page
    assert "My footer" in page
    assert "checked" not in page.partition('id="parts"')[2].partition("</ol>")[0]


def test_a_page_of_a_new_layout_offers_all_parts(screens: Screens) -> None:
    page = screens.client("manager").get("/reports/layouts/new/")
    assert page.status_code == 200
    assert page.content.decode().count('name="parts"') == len(PARTS)


def test_the_order_of_parts_is_kept(screens: Screens) -> None:
    form = {"name": "Mine", "paper": "letter", "parts": ["hashes", "cover", "photos"]}
    assert screens.client("manager").post("/reports/layouts/new/", form).status_code == 302
    assert ReportLayout.objects.get().parts == ["hashes", "cover", "photos"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_logo_is_drawn_anew_and_nothing_hidden_comes_along(screens: Screens, kind: str) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "SECRET PLACE")
    more = {"pnginfo": told} if kind == "PNG" else {}
    data = picture(kind, **more) + b"SECRET TAIL"
    logo = logos.set_logo(screens.memberships["manager"], data)
    kept = fetch(logo.image_key)
    assert kept.startswith(b"\x89PNG")
    assert b"SECRET" not in kept
    assert Image.open(io.BytesIO(kept)).size == (300, 90) == (logo.width, logo.height)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (picture()[:200], "damaged"),
        (b"%PDF-1.7", "no picture"),
        (picture(size=(8, 8)), "Send a larger one"),
        (picture(size=(5000, 5000)), "too many pixels"),
        (b"\0" * 2_000_001, "at most|may have 2 MB"),
    ],
    ids=["empty", "svg", "cut off", "pdf", "tiny", "huge", "heavy"],
)
def test_what_is_no_logo_is_refused_with_words(screens: Screens, data: bytes, told: str) -> None:
    file = SimpleUploadedFile("logo.png", data)
    if not data:
        with pytest.raises(ReportRefusedError, match=told):
            logos.set_logo(screens.memberships["manager"], data)
        return
    answer = screens.client("manager").post("/reports/logo.png", {"logo": file})
    assert answer.status_code == 422
    assert any(word in answer.content.decode() for word in told.split("|"))
    assert not SiteLogo.objects.exists()


def test_a_report_keeps_its_logo_when_the_site_takes_another(screens: Screens) -> None:
    who = screens.memberships["manager"]
    logos.set_logo(who, picture())
    document = unit_report(screens)
    logos.set_logo(who, picture(size=(64, 64)))
    sizes = [one.image.size for one in pdf_of(document).pages[0].images]
    assert (300, 90) in sizes
    page = screens.client("operator").get(f"/reports/{document.pk}/logo.png")
    shown = Image.open(io.BytesIO(b"".join(page.streaming_content)))
    assert shown.size == (300, 90)


def test_logos_and_layouts_of_another_site_are_out_of_reach(screens: Screens) -> None:
    logos.set_logo(screens.memberships["manager"], picture())
    layout = save_layout(screens.memberships["manager"], None, values(), is_default=True)
    stranger = screens.client("stranger")
    assert stranger.get("/reports/logo.png").status_code == 404
    assert stranger.get(f"/reports/layouts/{layout.pk}/").status_code == 404
    assert stranger.post(f"/reports/layouts/{layout.pk}/delete/").status_code == 404
