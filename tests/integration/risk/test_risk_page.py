"""The risk page: teaches, sets, shows what follows and whether it holds."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from risk_world import Units
from screen_world import Screens

from inspection.models import RiskDial

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE = "/plans/lids/risk/"
STATED = {"largest_escape": "2", "check_share": "10", "confidence": "0.95", "based_on": "0"}


def text_of(screens: Screens) -> str:
    answer = screens.client("manager").get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def test_without_a_dial_the_page_teaches(screens: Screens) -> None:
    text = text_of(screens)
    assert "How it comes into force" in text
    assert "1 % needs 299, 2 % needs 149, 5 % needs 59 judged units" in text
    assert "share that a person would not have accepted (but reworked" in text
    assert '<svg class="chart"' not in text


def test_setting_it_shows_how_many_labels_are_missing(screens: Screens) -> None:
    answer = screens.client("manager").post(PAGE, STATED, follow=True)
    text = answer.content.decode()
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "at least <b>149 more</b> are needed" in text
    assert "Nothing passes yet" in text
    dial = RiskDial.objects.get()
    assert (dial.largest_escape, dial.check_share, dial.confidence) == (0.02, 0.1, 0.95)
    assert dial.created_by == screens.users["manager"]


def test_with_labels_it_shows_thresholds_curve_and_reliability(
    screens: Screens, units: Units
) -> None:
    client = screens.client("manager")
    client.post(PAGE, STATED)
    units.judged(RiskDial.objects.get(), 800)
    client.post(PAGE, STATED | {"based_on": "1"})
    text = text_of(screens)
    assert "In force" in text
    assert text.count('<svg class="chart"') == 2
    assert "Expected calibration error" in text
    dial = RiskDial.objects.get(number=2)
    assert f"on the labels {dial.figures['escaped']} of {dial.figures['passed']}" in text
    units.seen(dial, np.full((40, 3), 1e-6), np.arange(40) < 10)
    text = text_of(screens)
    assert "More escapes than stated" in text
    assert "10 of 40 checked" in text
    assert "40 more units judged since" in text


def test_it_is_switched_off_and_the_history_stays(screens: Screens) -> None:
    client = screens.client("manager")
    client.post(PAGE, STATED)
    client.post(f"{PAGE}off/", {"based_on": "1"}, follow=True)
    text = text_of(screens)
    assert "turned off" in text
    assert 'value="2"' in text, "what was stated is still there to be set again"
    answer = client.post(f"{PAGE}off/", {"based_on": "2"}, follow=True)
    assert "The dial is off already." in answer.content.decode()
    assert RiskDial.objects.count() == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"largest_escape": ""}, "This field is required"),
        ({"largest_escape": "60"}, "less than or equal to 50"),
        ({"largest_escape": "nan"}, "Enter a number"),
        ({"check_share": "0"}, "greater than or equal to 0.01"),
        ({"confidence": "0.5"}, "Select a valid choice"),
    ],
)
def test_a_wrong_field_is_told_beside_it(
    screens: Screens, sent: dict[str, str], words: str
) -> None:
    answer = screens.client("manager").post(PAGE, STATED | sent)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not RiskDial.objects.exists()


def test_a_page_that_is_out_of_date_changes_nothing(screens: Screens) -> None:
    client = screens.client("manager")
    client.post(PAGE, STATED)
    answer = client.post(PAGE, STATED | {"largest_escape": "9"})
    assert answer.status_code == 409
    assert "Somebody has set the dial meanwhile" in answer.content.decode()
    assert RiskDial.objects.count() == 1


@pytest.mark.parametrize(
    ("sent", "words"),
    [({"based_on": "1"}, "Somebody has set the dial"), ({}, "Nothing was turned off")],
)
def test_a_setting_that_was_not_seen_is_not_switched_off(
    screens: Screens, sent: dict[str, str], words: str
) -> None:
    client = screens.client("manager")
    client.post(PAGE, STATED)
    client.post(PAGE, STATED | {"based_on": "1"})
    answer = client.post(f"{PAGE}off/", sent, follow=True)
    assert words in answer.content.decode()
    assert RiskDial.objects.order_by("number").last().is_on


def test_more_settings_and_units_take_no_more_queries(screens: Screens, units: Units) -> None:
    client, counts = screens.client("manager"), []
    for number, more in enumerate((1, 10, 300)):
        client.post(PAGE, STATED | {"based_on": str(number)})
        units.judged(RiskDial.objects.latest("number"), more)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(PAGE).status_code == 200
        counts.append(len(seen))
    assert counts == [counts[0]] * 3
