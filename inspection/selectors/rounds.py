"""Who may see what of a unit on which more than one person judges."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from inspection.models import GoldUnit, Inspection, Judgement, Review, Round, User
from inspection.models.choices import RoundKind, RoundState

IN_FORCE = Q(inspection__round__isnull=True) | Q(inspection__round__state=RoundState.FINAL)
"""Rows of units (``inspection`` is their column) on which no word is sealed."""


def is_open(inspection_id: UUID) -> bool:
    """Whether words on this unit are sealed, so that it still waits for a person."""
    rows = Round.objects.filter(inspection=inspection_id)
    return rows.exclude(state=RoundState.FINAL).exists()


def never_acts(inspection_id: UUID) -> bool:
    """Whether no action may go out for this unit: a word is still due, or its answer was known."""
    rows = Round.objects.filter(inspection=inspection_id)
    return rows.filter(~Q(state=RoundState.FINAL) | Q(kind=RoundKind.GOLD)).exists()


def visible_reviews(inspection: Inspection, user: User) -> QuerySet[Review]:
    """Verdicts that this person may see: all, but only their own while words are sealed."""
    rows: QuerySet[Review] = Review.objects.filter(inspection=inspection)
    return rows.filter(reviewer=user) if is_open(inspection.pk) else rows


def sealed_author(author: str = "author", inspection: str = "inspection") -> Exists:
    """Whether the author of a row has given a word on its unit that is still sealed."""
    return Exists(
        Judgement.objects.filter(
            inspection=OuterRef(inspection), reviewer=OuterRef(author), withdrawn_at__isnull=True
        ).exclude(round__state=RoundState.FINAL)
    )


def sealed_word(round: Round, user: User) -> Judgement | None:
    """One's own sealed word."""
    rows = Judgement.objects.filter(round=round, reviewer=user, withdrawn_at__isnull=True)
    found: Judgement | None = rows.exclude(round__state=RoundState.FINAL).last()
    return found


def twins_of(inspection: Inspection) -> Q:
    """The unit that a gold unit is a copy of, and its other copies; of any other unit the copies.
    They are alike as no others are, and tell each other's answer."""
    copied = GoldUnit.objects.filter(site=inspection.site_id)
    sources = [
        inspection.pk,
        *copied.filter(inspection=inspection).values_list("source", flat=True),
    ]
    family = copied.filter(source__in=sources)
    return Q(pk__in=sources) | Q(pk__in=family.values("inspection"))


def not_for(user: User) -> Q:
    """Inspections that this person is not to be given from the queue: those on which they have
    given a word that is still sealed, those that somebody else is judging, and gold units, which
    are given out by a draw of their own."""
    mine = Judgement.objects.filter(reviewer=user, withdrawn_at__isnull=True)
    sealed = mine.exclude(round__state=RoundState.FINAL)
    held = Round.objects.filter(holder_until__gt=Now()).exclude(holder=user)
    golden = Round.objects.filter(kind=RoundKind.GOLD)
    return Q(pk__in=sealed.values("inspection")) | Q(pk__in=(held | golden).values("inspection"))
