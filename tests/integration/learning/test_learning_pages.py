"""The pages of learning: what a manager sees and does, and that nobody else does."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from learning_world import Eyes, Judged, live_version
from pipeline_world import World, make_member

from inspection.models import LearningJob, Membership
from inspection.models.choices import Role
from inspection.services import learning_jobs

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
PAGE = "/plans/lids/learning/"


@pytest.fixture
def client(manager: Membership) -> Client:
    made = Client()
    made.force_login(manager.user)
    return made


def test_from_the_first_look_to_a_live_version_and_back(
    client: Client,
    world: World,
    eyes: Eyes,
    judged: Judged,
    django_capture_on_commit_callbacks: Any,
) -> None:
    first = client.get(PAGE).content.decode()
    assert "No version yet" in first
    assert "30 more judged units" in first
    judged.units(75)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(f"{PAGE}start/").status_code == 302
    job = LearningJob.objects.get()
    assert (learning_jobs.LEARN, str(job.pk), "vision") in world.woken.sent
    assert "Learning is under way" in client.get(PAGE).content.decode()
    learning_jobs.run_to_end(job.pk, lambda now: None)
    assert client.get(f"{PAGE}job/").headers["HX-Refresh"] == "true"
    page = client.get(f"{PAGE}1/").content.decode()
    assert "On units held back" in page
    assert "Let it go live" in page
    fixed = client.get(f"{PAGE}1/?change=fixed").content.decode()
    assert 'badge ok">Fixed' in fixed
    assert 'badge bad">New error' not in fixed
    assert "/inspections/" in fixed
    assert "No judged unit fits" in client.get(f"{PAGE}1/?until=2001-01-01").content.decode()
    assert client.get(f"{PAGE}1/?since=nonsense&part=x&page=99").status_code == 200
    labels = client.get(f"{PAGE}1/labels/").content.decode()
    assert judged.reviewer.user.get_username() in labels
    assert "eyes 1" in labels
    client.post(f"{PAGE}1/decide/", {"act": "shadow"})
    assert "looks at new photos since" in client.get(f"{PAGE}1/").content.decode()
    client.post(f"{PAGE}1/decide/", {"act": "accept"})
    assert live_version(world.plan) is not None
    said = client.post(f"{PAGE}1/decide/", {"act": "roll-back"}, follow=True).content.decode()
    assert "the shipped models judge again" in said
    assert live_version(world.plan) is None
    said = client.post(f"{PAGE}1/decide/", {"act": "roll-back"}, follow=True).content.decode()
    assert "not live any more" in said
    client.post(f"{PAGE}1/decide/", {"act": "sing"}, follow=True)


def test_the_command_learns_and_says_what_came_of_it(
    world: World, eyes: Eyes, judged: Judged
) -> None:
    with pytest.raises(CommandError, match="Too few verdicts yet"):
        call_command("learn", plan="lids", stdout=StringIO())
    judged.units(75)
    said = StringIO()
    call_command("learn", plan="lids", stdout=said)
    assert "Version 1 is offered." in said.getvalue()
    assert "accuracy" in said.getvalue()
    with pytest.raises(CommandError, match="no plan with the key"):
        call_command("learn", plan="nothing", stdout=StringIO())


def test_reviewers_and_other_sites_see_nothing_of_it(world: World) -> None:
    reviewer = Client()
    reviewer.force_login(make_member(world.site, Role.REVIEWER).user)
    for path in (PAGE, f"{PAGE}1/", f"{PAGE}1/labels/"):
        assert reviewer.get(path).status_code == 403
    assert reviewer.post(f"{PAGE}start/").status_code == 403
