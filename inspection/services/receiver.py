"""The built-in demo receiver: what a receiver of webhooks does, on the same machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from django.db import transaction
from django.db.models import F

from inspection.actions.webhook.destination import DEMO_KEY
from inspection.actions.webhook.signing import is_genuine
from inspection.models import Connector, ReceivedWebhook, Site

MOST_BODY = 64_000
KEPT = {True: 150, False: 50}
"""How many genuine and other requests are kept per site; a flood of forgeries drives out none
that are genuine."""
SHOWN_HEADERS = (
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "content-type",
    "content-length",
    "user-agent",
)
LONGEST_ID = 64


def demo_connector(slug: str) -> Connector | None:
    """The connector whose secret the receiver of this site verifies with."""
    rows = Connector.objects.select_related("site")
    found: Connector | None = rows.filter(site__slug=slug, key=DEMO_KEY).first()
    return found


def receive(connector: Connector, headers: Mapping[str, str], body: bytes) -> bool:
    """Verify and keep one request; a repeat of the same id is counted. Returns whether genuine."""
    given = {name.lower(): value for name, value in headers.items()}
    genuine = is_genuine(connector.secret, given, body)
    with transaction.atomic():
        _keep(connector.site, _event_id(given, body, genuine), given, body, genuine)
        _trim(connector.site, genuine)
    return genuine


def _event_id(headers: Mapping[str, str], body: bytes, genuine: bool) -> str:
    """A forgery gets an id of its own, so that it can't touch what arrived genuinely."""
    claimed = headers.get("webhook-id", "").replace("\0", "")
    if genuine:
        return claimed[:LONGEST_ID]
    digest = hashlib.sha256(claimed.encode("utf-8", "replace") + b"\0" + body).hexdigest()
    return f"forged_{digest[:48]}"


def _keep(
    site: Site, event_id: str, headers: Mapping[str, str], body: bytes, genuine: bool
) -> None:
    shown = {name: _text(headers[name])[:500] for name in SHOWN_HEADERS if name in headers}
    row = ReceivedWebhook(
        site=site,
        event_id=event_id,
        signature_valid=genuine,
        headers=shown,
        body=_text(body.decode("utf-8", "replace")),
    )
    ReceivedWebhook.objects.bulk_create([row], ignore_conflicts=True)
    known = ReceivedWebhook.objects.filter(site=site, event_id=event_id).exclude(pk=row.pk)
    known.update(times=F("times") + 1, headers=shown)


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _trim(site: Site, genuine: bool) -> None:
    mine = ReceivedWebhook.objects.filter(site=site, signature_valid=genuine)
    surplus = mine.order_by("-created_at", "-id").values_list("pk", flat=True)[KEPT[genuine] :]
    ReceivedWebhook.objects.filter(pk__in=list(surplus)).delete()
