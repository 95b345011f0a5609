"""Links, statements and answers as pages show them: to the site, and to the inspected party."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from inspection.models import Inspection, Site, User
from inspection.models.dispute import (
    DisputeAnswer,
    DisputeLink,
    DisputePhoto,
    DisputeStatement,
)
from inspection.selectors.rounds import is_open


class LinkState(StrEnum):
    """Of these the first that holds. WAITING: a statement has no answer yet."""

    REVOKED = "revoked"
    WAITING = "waiting"
    ANSWERED = "answered"
    OPEN = "open"
    EXPIRED = "expired"


STATE_WORDS = {
    LinkState.WAITING: "Waits for answer",
    LinkState.ANSWERED: "Answered",
    LinkState.OPEN: "Open",
    LinkState.EXPIRED: "Expired",
    LinkState.REVOKED: "Revoked",
}


def may_write(link: DisputeLink, now: datetime | None = None) -> bool:
    """Whether a statement is taken at this moment."""
    return link.revoked_at is None and (now or timezone.now()) < link.expires_at


def may_read(link: DisputeLink, now: datetime | None = None) -> bool:
    """Whether the page opens at this moment."""
    until: datetime = link.readable_until or link.expires_at
    return link.revoked_at is None and (now or timezone.now()) < until


def unanswered(link: DisputeLink) -> list[DisputeStatement]:
    """Statements after the last one that was answered, oldest first."""
    answered = _last_answered(link)
    return [row for row in link.statements.all() if row.number > answered]


def _last_answered(link: DisputeLink) -> int:
    numbers = [answer.statement.number for answer in link.answers.all()]
    return max(numbers, default=0)


def due_at(link: DisputeLink) -> datetime | None:
    """Until when an answer is promised: for the oldest statement that has none."""
    waiting = unanswered(link)
    return waiting[0].due_at if waiting else None


@dataclass(frozen=True)
class Turn:
    """A statement or an answer, as one line of what was said."""

    statement: DisputeStatement | None = None
    answer: DisputeAnswer | None = None
    photos: list[DisputePhoto] = field(default_factory=list)


def said(link: DisputeLink, *, answers_by: User | None = None) -> list[Turn]:
    """Statements and answers in the order in which they were given. ``answers_by``: only those of
    this person."""
    answers = {answer.statement_id: answer for answer in link.answers.all()}
    turns: list[Turn] = []
    for statement in link.statements.all():
        turns.append(Turn(statement=statement, photos=list(statement.photos.all())))
        answer = answers.get(statement.pk)
        if answer and (answers_by is None or answer.reviewer_id == answers_by.pk):
            turns.append(Turn(answer=answer))
    return turns


@dataclass(frozen=True)
class LinkRow:
    """A link as the site sees it. ``is_late``: the answer is overdue."""

    link: DisputeLink
    name: str
    state: LinkState
    words: str
    looks: int
    last_look: datetime | None
    turns: list[Turn]
    waiting: list[DisputeStatement]
    due_at: datetime | None

    @property
    def is_late(self) -> bool:
        return self.due_at is not None and self.due_at < timezone.now()

    @property
    def can_be_revoked(self) -> bool:
        return self.link.revoked_at is None and may_read(self.link)


def links_of(inspection: Inspection, viewer: User) -> list[LinkRow]:
    """The links of a unit: those that wait for an answer, then the newest. While words on it are
    sealed, only one's own answers."""
    only = viewer if is_open(inspection.pk) else None
    rows = [_row(link, only) for link in _told(DisputeLink.objects.filter(inspection=inspection))]
    return sorted(rows, key=lambda row: row.state != LinkState.WAITING)


def links_at(site: Site, state: str = "") -> QuerySet[DisputeLink]:
    """All links of a site; those that wait for an answer, or that are open, if so asked."""
    rows: QuerySet[DisputeLink] = DisputeLink.objects.for_site(site)
    now = timezone.now()
    later = DisputeStatement.objects.filter(link=OuterRef("pk"), answer__isnull=True).exclude(
        Exists(_answers_after())
    )
    if state == LinkState.WAITING:
        return rows.filter(Exists(later), revoked_at__isnull=True)
    if state == LinkState.OPEN:
        return rows.filter(revoked_at__isnull=True, expires_at__gt=now)
    return rows


def _answers_after() -> QuerySet[DisputeAnswer]:
    """Answers to a later statement of the same link: they answer the ones before it too."""
    rows: QuerySet[DisputeAnswer] = DisputeAnswer.objects.filter(
        link=OuterRef("link"), statement__number__gt=OuterRef("number")
    )
    return rows


def rows_of(links: Iterable[DisputeLink], viewer: User) -> list[LinkRow]:
    """As rows of the list; answers on units with sealed words are not told."""
    return [_row(link, viewer if is_open(link.inspection_id) else None) for link in links]


def told(rows: QuerySet[DisputeLink]) -> QuerySet[DisputeLink]:
    """With all that a row of the list needs."""
    return _told(rows)


def _told(rows: QuerySet[DisputeLink]) -> QuerySet[DisputeLink]:
    statements = DisputeStatement.objects.prefetch_related("photos")
    answers = DisputeAnswer.objects.select_related("statement", "reviewer")
    return (
        rows.select_related("finding", "made_by", "revoked_by", "inspection__plan_version")
        .defer("inspection__embedding", "inspection__search")
        .prefetch_related(Prefetch("statements", statements), Prefetch("answers", answers))
        .annotate(
            look_count=Count("looks", filter=Q(looks__user__isnull=True)),
            last_look=Max("looks__created_at", filter=Q(looks__user__isnull=True)),
        )
        .order_by("-created_at", "-pk")
    )


def _row(link: DisputeLink, only: User | None) -> LinkRow:
    state = state_of(link)
    if state == LinkState.ANSWERED and only is not None:
        state = LinkState.OPEN if may_write(link) else LinkState.EXPIRED
    return LinkRow(
        link=link,
        name=name_of(link),
        state=state,
        words=STATE_WORDS[state],
        looks=getattr(link, "look_count", 0),
        last_look=getattr(link, "last_look", None),
        turns=said(link, answers_by=only),
        waiting=unanswered(link),
        due_at=due_at(link),
    )


def state_of(link: DisputeLink) -> LinkState:
    if link.revoked_at is not None:
        return LinkState.REVOKED
    if unanswered(link):
        return LinkState.WAITING
    if link.answers.all():
        return LinkState.ANSWERED
    return LinkState.OPEN if may_write(link) else LinkState.EXPIRED


def name_of(link: DisputeLink) -> str:
    """What the link is about, in the words of the plan."""
    if link.finding is None:
        return "The whole unit"
    return class_name(link.inspection, link.finding.type)


def class_name(inspection: Inspection, type: str) -> str:
    """The plan's name of a class of defects."""
    version = inspection.plan_version
    defect = version.parsed().defect(type) if version else None
    return defect.name if defect else type.replace("_", " ").replace("-", " ")


def photo_of_party(site: Site, pk: UUID) -> DisputePhoto | None:
    """A photo of a statement at this site; drafts are nobody's business yet."""
    rows = DisputePhoto.objects.for_site(site).filter(statement__isnull=False)
    found: DisputePhoto | None = rows.filter(pk=pk).first()
    return found
