"""Changing where tickets go. Only admins of the site may; every change is in the audit trail."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from inspection.actions.outbound import Refused, check_url
from inspection.actions.outbox import enqueue
from inspection.actions.webhook.signing import new_secret
from inspection.models import Connector, Delivery, Membership
from inspection.models.choices import Role

BOTH_SECRETS = timedelta(hours=24)
"""After a rotation the secret before signs for this long too."""
PING = "ping"


class ConnectorRefusedError(ValueError):
    """The change can't be made; ``field`` names the input to be corrected, where it is one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def create_connector(
    membership: Membership, *, key: str, name: str, url: str, allow_inside: bool = False
) -> Connector:
    """Make a connector with a new secret, which the caller shows once."""
    _check(membership)
    _check_address(url)
    try:
        with transaction.atomic():
            connector: Connector = Connector.objects.create(
                site=membership.site,
                key=key,
                name=name,
                url=url,
                secret=new_secret(),
                allow_inside=allow_inside,
            )
    except IntegrityError:
        raise ConnectorRefusedError(
            f"There is a connector {key!r} already: choose another key.", "key"
        ) from None
    return connector


def change_connector(
    membership: Membership, connector: Connector, *, name: str, url: str, allow_inside: bool
) -> None:
    """Change the address and what it is called; deliveries under way go to the new address."""
    _check(membership, connector)
    _check_address(url)
    Connector.objects.filter(pk=connector.pk).update(name=name, url=url, allow_inside=allow_inside)
    connector.refresh_from_db()


def rotate_secret(membership: Membership, connector: Connector) -> str:
    """Make a new secret and return it, to be shown once; the one before signs for 24 h more."""
    _check(membership, connector)
    secret = new_secret()
    Connector.objects.filter(pk=connector.pk).update(
        previous_secret=F("secret"), previous_until=timezone.now() + BOTH_SECRETS, secret=secret
    )
    connector.refresh_from_db()
    return secret


def enable_connector(membership: Membership, connector: Connector) -> bool:
    """Send again, what was held too; False where it was enabled already."""
    _check(membership, connector)
    changed = Connector.objects.filter(pk=connector.pk, is_active=False).update(
        is_active=True, disabled_reason=""
    )
    connector.refresh_from_db()
    return bool(changed)


def disable_connector(membership: Membership, connector: Connector) -> bool:
    """Hold everything for this connector; False where it was disabled already."""
    _check(membership, connector)
    reason = f"{timezone.now():%Y-%m-%d %H:%M} UTC: by {membership.user.get_username()}"
    changed = Connector.objects.filter(pk=connector.pk, is_active=True).update(
        is_active=False, disabled_reason=reason
    )
    connector.refresh_from_db()
    return bool(changed)


@transaction.atomic
def ping(membership: Membership, connector: Connector) -> Delivery:
    """Send an event that means nothing, the same way as a ticket."""
    _check(membership, connector)
    if not connector.is_active:
        raise ConnectorRefusedError("It is disabled, so nothing is sent. Enable it first.")
    words = {"message": "A test from Loupe.", "connector": connector.key}
    return enqueue(connector, PING, dict(words))


def _check(membership: Membership, connector: Connector | None = None) -> None:
    elsewhere = connector is not None and connector.site_id != membership.site_id
    if elsewhere or not membership.allows(Role.ADMIN):
        raise PermissionDenied("Only an admin of this site may change connectors.")


def _check_address(url: str) -> None:
    try:
        check_url(url)
    except Refused as error:
        raise ConnectorRefusedError(str(error), "url") from None
