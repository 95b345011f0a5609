"""What the page of an inspection says of a photo that came before."""

from __future__ import annotations

import pytest
from screen_world import Screens, make_inspection

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("is_same", "words"),
    [(True, "The same photo"), (False, "A photo that looks nearly the same")],
)
def test_a_photo_that_looks_alike_is_not_called_the_same(
    screens: Screens, is_same: bool, words: str
) -> None:
    earlier, photo = make_inspection(screens.site, screens.plan).photos.get(), screens.photo
    photo.duplicate_of, photo.sha256 = earlier, earlier.sha256 if is_same else "b" * 64
    photo.save()
    page = screens.client("operator").get(f"/inspections/{screens.inspection.pk}/")
    assert f"<span>{words} came before, in" in page.content.decode()
