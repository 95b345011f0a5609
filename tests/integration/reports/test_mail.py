"""Reports go out by e-mail, against a real mail server in this process."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from django.utils import timezone
from report_world import lot_report, unit_report
from screen_world import Screens

from inspection.models import ReportMailing
from inspection.services.intake import fetch
from inspection.services.reports import mailing
from inspection.services.reports.refusals import ReportRefusedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Postbox:
    """Takes every message, but none for nobody@example.com."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.receivers: list[list[str]] = []

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.messages.append(email.message_from_bytes(content, policy=email.policy.default))
        self.receivers.append(list(envelope.rcpt_tos))
        return "250 taken"


@pytest.fixture
def postbox(settings: Any) -> Iterator[Postbox]:
    """A mail server on a port of its own, which the settings name."""
    box = Postbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "Inspection <inspection@example.com>"
    yield box
    server.stop()


def ask(screens: Screens, to: list[str], key: str = "k", **more: Any) -> ReportMailing:
    document = more.pop("document", None) or unit_report(screens)
    return mailing.ask_to_send(
        screens.memberships["reviewer"], document, to, "Your lids", "Grüße, 検査", key
    )


def sent(one: ReportMailing) -> ReportMailing:
    mailing.send_mailing(one.pk)
    one.refresh_from_db()
    return one


def test_the_pdf_arrives_as_it_is(screens: Screens, postbox: Postbox) -> None:
    one = sent(ask(screens, ["qa@example.com", "boss@example.com"]))
    assert (one.status, one.message) == ("done", "")
    (message,) = postbox.messages
    assert postbox.receivers == [["qa@example.com", "boss@example.com"]]
    assert message["subject"] == "Your lids"
    assert message["from"] == "Inspection <inspection@example.com>"
    body, pdf = message.iter_parts()
    assert "Grüße, 検査" in body.get_content()
    assert pdf.get_filename() == "Inspection-report-Vault-door-4711.pdf"
    assert pdf.get_content() == fetch(one.document.pdf_key)


def test_it_goes_out_once(screens: Screens, postbox: Postbox) -> None:
    document = unit_report(screens)
    first = ask(screens, ["qa@example.com"], document=document)
    assert ask(screens, ["qa@example.com"], document=document).pk == first.pk
    sent(first)
    sent(first)
    assert len(postbox.messages) == 1


def test_an_address_that_is_refused_is_named(screens: Screens, postbox: Postbox) -> None:
    one = sent(ask(screens, ["nobody@example.com"]))
    assert one.status == "failed"
    assert one.message.startswith("The mail server refuses these addresses: nobody@example.com.")


def test_a_server_that_is_away_is_told(screens: Screens, postbox: Postbox, settings: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = free.getsockname()[1]
        one = sent(ask(screens, ["qa@example.com"]))
    assert one.status == "failed"
    assert "can't be reached" in one.message


def test_a_mailing_whose_worker_died_is_not_sent_again_by_itself(
    screens: Screens, postbox: Postbox
) -> None:
    one = ask(screens, ["qa@example.com"])
    gone = timezone.now() - timedelta(seconds=1)
    ReportMailing.objects.filter(pk=one.pk).update(status="running", attempt=1, lease_until=gone)
    assert mailing.due() == []
    one.refresh_from_db()
    assert (one.status, one.message) == ("failed", mailing.UNSURE)
    assert postbox.messages == []


def test_one_that_waits_is_found_by_the_sweeper(screens: Screens, postbox: Postbox) -> None:
    one = ask(screens, ["qa@example.com"])
    assert mailing.due() == [one.pk]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"EMAIL_HOST": ""}, "No mail server is set up"),
        ({"EMAIL_MAX_BYTES": 1000}, "make one with fewer parts"),
    ],
)
def test_what_can_t_be_sent_is_refused_with_words(
    screens: Screens, postbox: Postbox, settings: Any, change: dict[str, Any], told: str
) -> None:
    for name, value in change.items():
        setattr(settings, name, value)
    with pytest.raises(ReportRefusedError, match=told):
        ask(screens, ["qa@example.com"])


def test_operators_send_nothing_out_of_the_house(screens: Screens, postbox: Postbox) -> None:
    document = unit_report(screens)
    answer = screens.client("operator").post(f"/reports/{document.pk}/send/", {"to": "a@b.example"})
    assert answer.status_code == 403
    lot = lot_report(screens)
    answer = screens.client("reviewer").post(f"/reports/{lot.pk}/send/", {"to": "a@b.example"})
    assert answer.status_code == 404
