"""What a newcomer finds after the first start."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from django.core.management import call_command
from PIL import Image, ImageChops

from inspection.actions import outbox
from inspection.demo.plans import demo_plans
from inspection.demo.samples import SAMPLES, sample_photo
from inspection.models import Connector, Inspection, Membership, Plan, PlanVersion, Site, User
from inspection.models.choices import Role
from inspection.services.demo import PASSWORD, make_demo
from models_runtime.samples import draw_sample

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def quiet(settings, monkeypatch, tmp_path):
    settings.SHOW_DEMO = True
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        },
    }
    monkeypatch.setattr(outbox.app, "send_task", lambda *args, **kwargs: None)


def test_the_demo_has_log_ins_plans_a_connector_and_samples(client):
    out = io.StringIO()
    call_command("demo", stdout=out)
    site = Site.objects.get()
    assert (site.name, site.slug) == ("Demo works", "demo")
    for role in Role:
        assert role.value in out.getvalue()
        assert client.login(username=role.value, password=PASSWORD)
        assert Membership.objects.get(user__username=role.value, site=site).role == role
    assert PASSWORD in out.getvalue()
    assert set(Plan.objects.values_list("key", flat=True)) == set(demo_plans())
    assert Connector.objects.get(site=site).key == "demo"
    assert Inspection.objects.filter(site=site, is_sample=True).count() == len(SAMPLES) == 8


def test_every_sample_goes_through_the_real_pipeline():
    make_demo()
    for unit in Inspection.objects.all():
        assert unit.plan is not None
        assert unit.current_run is not None
        assert unit.current_run.steps.exists()
        assert unit.photos.count() == 1


def test_again_it_adds_nothing_and_takes_nothing_back():
    make_demo()
    User.objects.get(username="admin").set_password("changed")
    Connector.objects.update(name="Renamed")
    plan = Plan.objects.get(key="solar-cells")
    version = PlanVersion.objects.create(
        site=plan.site, plan=plan, number=2, spec=plan.current.spec
    )
    Plan.objects.filter(pk=plan.pk).update(current=version)
    before = (Inspection.objects.count(), PlanVersion.objects.count(), User.objects.count())
    again = make_demo()
    assert again is not None
    assert again.made_samples == 0
    after = (Inspection.objects.count(), PlanVersion.objects.count(), User.objects.count())
    assert before == after
    plan.refresh_from_db()
    assert plan.current == version
    assert Connector.objects.get().name == "Renamed"


def test_what_is_missing_is_added():
    make_demo()
    first = Inspection.objects.get(reference=SAMPLES[0].reference)
    Inspection.objects.filter(pk=first.pk).update(reference="renamed")
    again = make_demo()
    assert again is not None
    assert again.made_samples == 1


def test_no_demo_appears_beside_a_real_site():
    Site.objects.create(name="Real works", slug="real")
    out = io.StringIO()
    call_command("demo", stdout=out)
    assert "No demo" in out.getvalue()
    assert Site.objects.count() == 1
    assert not User.objects.exists()


def test_no_demo_appears_where_it_is_switched_off(settings):
    settings.SHOW_DEMO = False
    assert make_demo() is None
    assert not Site.objects.exists()


def test_somebody_who_has_a_log_in_of_that_name_elsewhere_gets_no_rights():
    User.objects.create_user("admin", password="own")
    make_demo()
    assert not Membership.objects.filter(user__username="admin").exists()
    assert User.objects.get(username="admin").check_password("own")


def test_the_plans_are_valid_and_send_their_tickets_to_the_demo_receiver():
    plans = demo_plans()
    assert {plan.subject for plan in plans.values()} == {"part", "product", "property"}
    for plan in plans.values():
        assert plan.defects
        assert all(defect.definition for defect in plan.defects)
        assert {rule.destination for rule in plan.playbook} == {"demo"}
    garments = plans["garments-for-resale"]
    category = next(c for c in garments.characteristics if c.key == "category")
    assert len(category.options) == 17
    assert plans["solar-cells"].mm_per_px


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.reference)
def test_each_sample_says_in_its_file_that_it_is_drawn_and_shows_its_defect_unhidden(sample):
    image = Image.open(io.BytesIO(sample_photo(sample)))
    pixels, defects = draw_sample(sample.kind, sample.defect, sample.seed, sample.size)
    assert sample.plan in demo_plans()
    assert "not a photograph" in image.info["Description"]
    assert ImageChops.difference(image.convert("RGB"), Image.fromarray(pixels)).getbbox() is None
    assert bool(defects) == bool(sample.defect)


def test_making_the_demo_loads_no_model_library():
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'inspection.settings'\n"
        "django.setup()\n"
        "import inspection.management.commands.demo, inspection.actions.tasks\n"
        "heavy = {'torch', 'transformers', 'segment_anything'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
