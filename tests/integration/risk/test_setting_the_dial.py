"""Setting the dial: thresholds from the site's own verdicts, each setting kept as it was."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import IntegrityError, ProgrammingError, transaction
from risk_world import ENGINE, Units
from screen_world import Screens

from inspection.models import Finding, Plan, RiskDial, RiskGate
from inspection.selectors import risk as reads
from inspection.services import risk
from models_runtime.risk.chances import ANY_DEFECT

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def set_dial(screens: Screens, rate: float = 0.02, **more: object) -> RiskDial:
    stated = {"largest_escape": rate, "check_share": 0.1} | more
    return risk.set_dial(screens.memberships["manager"], screens.plan, **stated)


def test_without_labels_nothing_passes_and_it_says_how_many_are_missing(screens: Screens) -> None:
    dial = set_dial(screens, 0.01)
    assert (dial.number, dial.is_on, dial.thresholds, dial.engines) == (1, True, {}, [])
    assert (dial.figures["labels"], dial.figures["missing"]) == (0, 299)
    assert reads.dial_in_force(screens.plan.pk) == dial


def test_labels_of_the_site_choose_a_threshold_per_class(screens: Screens, units: Units) -> None:
    units.judged(set_dial(screens), 800)
    dial = set_dial(screens)
    assert set(dial.thresholds) == {ANY_DEFECT, "dent", "scratch"}
    assert 0 < dial.thresholds[ANY_DEFECT] < 1
    assert len(set(dial.thresholds.values())) > 1, "800 labels shape the classes apart"
    assert dial.engines == [ENGINE]
    figures = dial.figures
    assert figures["tested"] + figures["shaping"] == figures["labels"] == 800
    assert 0.5 < figures["passed"] / figures["tested"] < 1
    assert figures["escaped"] / figures["passed"] < 0.02
    assert figures["load"] == {
        "units": 800, "asked": 0, "eligible": 800, "below": figures["load"]["below"],
    }  # fmt: skip
    shares = [point[1] for point in figures["curve"]]
    assert shares == sorted(shares)
    assert figures["calibration"]["error"] < 2 * figures["calibration"]["noise_limit"]


def test_only_drawn_and_judged_units_of_todays_extractor_and_catalogue_are_labels(
    screens: Screens, units: Units
) -> None:
    dial = set_dial(screens)
    chances, truth = units.draw(12)
    units.seen(dial, chances, truth, drawn=False)
    units.seen(dial, chances, None)
    units.seen(dial, chances, truth, engine="eyes 0")
    units.judged(dial, reads.ENGINE_WINDOW)
    foreign = RiskGate.objects.order_by("created_at").last()
    RiskGate.objects.filter(pk=foreign.pk).update(chances={ANY_DEFECT: 0.1})
    assert set_dial(screens).figures["labels"] == reads.ENGINE_WINDOW - 1
    assert reads.waiting_labels(screens.plan) == 12


def test_the_latest_verdict_counts(screens: Screens, units: Units) -> None:
    dial = set_dial(screens)
    seen = units.seen(dial, units.draw(5)[0], np.zeros(5, bool))
    units.decide(seen[:2], np.ones(2, bool))
    assert set_dial(screens).figures["defective"] == 2


@pytest.mark.parametrize("said", [{"status": "rejected"}, {"history": "fixed"}])
def test_types_are_counted_from_findings_that_are_defects(
    screens: Screens, units: Units, said: dict[str, str]
) -> None:
    dial = set_dial(screens)
    (unit,) = units.seen(dial, units.draw(1)[0], np.ones(1, bool))
    Finding.objects.filter(inspection=screens.inspection).update(inspection=unit)
    Finding.objects.filter(inspection=unit, type="scratch").update(**said)
    assert set_dial(screens).figures["by_class"] == {"dent": 1, "scratch": 0}


def test_labels_of_another_plan_don_t_count(screens: Screens, units: Units) -> None:
    units.judged(set_dial(screens), 20)
    other = Plan.objects.create(
        site=screens.site, key="other", name="Other", current=screens.plan.current
    )
    dial = risk.set_dial(
        screens.memberships["manager"], other, largest_escape=0.02, check_share=0.1
    )
    assert dial.figures["labels"] == 0


def test_what_came_after_the_setting_tells_whether_it_holds(screens: Screens, units: Units) -> None:
    units.judged(set_dial(screens), 800)
    dial = set_dial(screens)
    low = np.full((30, 3), 1e-6)
    units.seen(dial, low, np.arange(30) < 2)
    units.seen(dial, low[:4], None)
    units.seen(dial, np.full((9, 3), 0.99), np.ones(9, bool))
    assert reads.realised(dial) == reads.Realised(judged=30, escaped=2, waiting=4)
    assert reads.new_labels(dial) == 39


def test_each_setting_is_kept_and_can_t_be_changed(screens: Screens) -> None:
    first = set_dial(screens, 0.01)
    second = set_dial(screens, 0.02, based_on=1)
    off = risk.switch_off(screens.memberships["manager"], screens.plan, based_on=2)
    assert [dial.number for dial in reads.dials_of(screens.plan)] == [3, 2, 1]
    assert reads.dial_in_force(screens.plan.pk) is None
    assert off.largest_escape == second.largest_escape
    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        RiskDial.objects.filter(pk=first.pk).update(largest_escape=0.5)
    events = RiskDial.objects.get(pk=first.pk).events.values_list("pgh_label", flat=True)
    assert list(events) == ["insert"]


def test_two_managers_don_t_overwrite_each_other(screens: Screens) -> None:
    set_dial(screens, based_on=0)
    with pytest.raises(risk.DialRefusedError, match="Somebody has set the dial"):
        set_dial(screens, based_on=0)
    with pytest.raises(risk.DialRefusedError, match="Somebody has set the dial"):
        risk.switch_off(screens.memberships["manager"], screens.plan, based_on=0)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"largest_escape": 0.0}, "above 0"),
        ({"largest_escape": 0.7}, "at most 50"),
        ({"check_share": 0.0}, "nobody would see an escape"),
        ({"confidence": 0.5}, "90, 95 or 99"),
    ],
)
def test_impossible_settings_are_refused(
    screens: Screens, stated: dict[str, float], words: str
) -> None:
    with pytest.raises(risk.DialRefusedError, match=words):
        set_dial(screens, **stated)
    assert not RiskDial.objects.exists()


def test_the_database_refuses_them_too(screens: Screens) -> None:
    with pytest.raises(IntegrityError, match="risk_dial_holds_shares"), transaction.atomic():
        RiskDial.objects.create(
            site=screens.site, plan=screens.plan, number=9, plan_version=screens.plan.current,
            is_on=True, largest_escape=0.01, confidence=0.95, check_share=0.0,
        )  # fmt: skip


def test_only_managers_set_it(screens: Screens) -> None:
    with pytest.raises(risk.DialRefusedError, match="Only quality managers"):
        risk.set_dial(
            screens.memberships["reviewer"], screens.plan, largest_escape=0.01, check_share=0.1
        )
    with pytest.raises(risk.DialRefusedError, match="off already"):
        risk.switch_off(screens.memberships["manager"], screens.plan)
