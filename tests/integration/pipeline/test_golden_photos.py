"""A plan with golden photos: what differs from sound units is found without any word for it."""

from __future__ import annotations

import pytest
from pipeline_world import photo_bytes

from inspection.models import GoldenPhoto
from inspection.pipeline import golden
from inspection.services.inspections import store_bytes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def sound(world):
    golden.comparer.cache_clear()
    for number in range(4):
        data = photo_bytes(square=None, shade=250 - number)
        file = store_bytes(world.site, f"sound-{number}.png", data)
        GoldenPhoto.objects.create(
            site=world.site,
            plan=world.plan,
            image_key=file.stored_key,
            sha256=file.sha256,
            name=file.name,
        )
    yield
    golden.comparer.cache_clear()


def test_a_unit_is_compared_with_the_golden_photos(world, sound):
    done = world.run(world.inspect(photo_bytes((40, 40, 100, 100))))
    segment = done.current_run.steps.get(step="segment")
    assert segment.output["golden"] == 4
    assert done.findings.exists()
    assert done.defect_probability > 0.5


def test_a_sound_unit_stays_sound(world, sound):
    done = world.run(world.inspect(photo_bytes(square=None, shade=248)))
    assert done.current_run.steps.get(step="segment").status == "done"
    assert done.disposition == "accept"


def test_two_golden_photos_are_too_few_to_compare_with(world, sound):
    GoldenPhoto.objects.filter(name__in=["sound-0.png", "sound-1.png"]).delete()
    done = world.run(world.inspect(photo_bytes()))
    assert done.current_run.steps.get(step="segment").output["golden"] == 0
    assert done.status == "decided"
