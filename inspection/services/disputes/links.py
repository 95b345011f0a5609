"""Links for the inspected party: made, looked up, looked at, revoked.

Whoever needs the locks of both takes the inspection's first and the link's second.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from inspection.models import DisputeLink, DisputeLook, Finding, Inspection, Membership, User
from inspection.models.choices import FindingStatus, InspectionStatus, Role
from inspection.selectors.rounds import is_open
from inspection.services.disputes import tokens
from inspection.services.disputes.refusals import DisputeRefusedError, LinkClosedError
from inspection.services.inspections import storable

MOST_LINKS = 20
MOST_DAYS = 90
NOT_DECIDED = (
    "A link shows what was decided. Decide this unit first; where more than one person is asked, "
    "wait until all have judged."
)


@transaction.atomic
def make_link(
    membership: Membership,
    inspection: Inspection,
    *,
    finding: Finding | None = None,
    days: int | None = None,
    label: str = "",
    shows_earlier: bool = True,
    email: str = "",
) -> tuple[DisputeLink, str]:
    """Make a link to one finding, or to the whole unit; the link and its token, which is told this
    once and stored nowhere. ``days``: how long the party may write, by default the setting."""
    days = settings.DISPUTE_LINK_DAYS if days is None else days
    locked = _lock_unit(membership, inspection.pk)
    _check(locked, finding, days)
    token = tokens.new_token()
    link: DisputeLink = DisputeLink.objects.create(
        site_id=locked.site_id,
        inspection=locked,
        finding=finding,
        digest=tokens.digest_of(token),
        label=storable(label)[:100],
        email=email,
        shows_earlier=shows_earlier,
        expires_at=timezone.now() + timedelta(days=days),
        made_by=membership.user,
    )
    return link, token


def _lock_unit(membership: Membership, pk: UUID) -> Inspection:
    if not membership.allows(Role.REVIEWER):
        raise DisputeRefusedError("Only reviewers make links. Ask an admin for the role.")
    rows = Inspection.objects.for_site(membership.site).select_for_update(no_key=True)
    found: Inspection | None = rows.defer("embedding", "search").filter(pk=pk).first()
    if found is None:
        raise DisputeRefusedError("This inspection belongs to another site.")
    return found


def _check(inspection: Inspection, finding: Finding | None, days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise DisputeRefusedError(f"A link may be open for 1 to {MOST_DAYS} days.")
    # Units on which words are sealed wait for a person like any other; this must not tell them.
    if inspection.status != InspectionStatus.DECIDED or is_open(inspection.pk):
        raise DisputeRefusedError(NOT_DECIDED)
    if finding is not None and not _can_be_shown(inspection, finding):
        raise DisputeRefusedError("This finding does not stand any more. Choose another one.")
    if inspection.dispute_links.filter(revoked_at__isnull=True).count() >= MOST_LINKS:
        raise DisputeRefusedError(f"A unit has at most {MOST_LINKS} links. Revoke one first.")


def _can_be_shown(inspection: Inspection, finding: Finding) -> bool:
    if finding.inspection_id != inspection.pk or finding.is_sealed:
        return False
    return bool(finding.status != FindingStatus.REJECTED)


def address_of(token: str) -> str:
    """Under which the party opens the link."""
    return f"{settings.PUBLIC_URL}{reverse('dispute', args=[token])}"


def find_link(token: str) -> DisputeLink | None:
    """The link of a token that we made, whatever its state; None for any other."""
    if not tokens.is_genuine(token):
        return None
    rows = DisputeLink.objects.select_related("site", "finding")
    found: DisputeLink | None = rows.filter(digest=tokens.digest_of(token)).first()
    return found if found is not None and tokens.is_same(found.digest, token) else None


def lock_link(link: DisputeLink) -> DisputeLink:
    """The unit and the link for us alone until the end of the transaction, as they are now."""
    Inspection.objects.select_for_update(no_key=True).only("pk").get(pk=link.inspection_id)
    rows = DisputeLink.objects.select_for_update(no_key=True, of=("self",))
    locked: DisputeLink = rows.select_related("site", "finding").get(pk=link.pk)
    return locked


def check_may_write(link: DisputeLink) -> None:
    """Raises LinkClosedError. Asked with the link's lock, so that a revoking that comes first
    counts, and one that comes later finds the statement there."""
    if link.revoked_at is not None or timezone.now() >= link.expires_at:
        raise LinkClosedError("The time to write has ended.")


def note_look(link: DisputeLink, device: str, user: User | None) -> None:
    """Write down that the page was opened; by whom, where somebody of the site is signed in."""
    DisputeLook.objects.create(site_id=link.site_id, link=link, device=device, user=user)


@transaction.atomic
def revoke(membership: Membership, link: DisputeLink) -> None:
    """Let the link open nothing any more. What was said stays with the site."""
    if not membership.allows(Role.REVIEWER) or link.site_id != membership.site_id:
        raise DisputeRefusedError("Only reviewers of this site revoke its links.")
    locked = lock_link(link)
    if locked.revoked_at is not None:
        return
    DisputeLink.objects.filter(pk=locked.pk).update(
        revoked_at=timezone.now(), revoked_by=membership.user
    )
