"""What a person is drawing and has not saved yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from inspection.models.base import SiteModel
from inspection.models.finding import Finding
from inspection.models.inspection import Photo


class Draft(SiteModel):
    """An unsaved drawing, one per person and photo, kept after every stroke.

    ``content`` is what the editor needs to go on, NULL once it was saved or thrown away.
    ``session`` names the page that draws, and ``sequence`` counts its strokes: one that arrives
    late changes nothing, also after the end. ``finding`` is what is being redrawn, empty for a new
    one, and where models that looked again have dropped it meanwhile.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drafts"
    )
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="drafts")
    finding = models.ForeignKey(
        Finding, null=True, on_delete=models.SET_NULL, related_name="drafts"
    )
    content = models.JSONField(null=True)
    session = models.CharField(max_length=64)
    sequence = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "photo"], name="draft_one_per_person_and_photo")
        ]
