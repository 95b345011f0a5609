"""Golden photos: what sound units of a plan look like."""

from __future__ import annotations

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from inspection.models import GoldenPhoto, Membership, Plan
from models_runtime.errors import InputError

MOST = 50
LONGEST_SIDE = 4096


def add_golden(membership: Membership, plan: Plan, name: str, data: bytes) -> GoldenPhoto:
    """Keep a photo of a sound unit; the same bytes again are the same photo.

    It is decoded within limits and kept upright, without EXIF. Raises InputError with words for
    the person who sent it.
    """
    from models_runtime.intake.decode import DecodeLimits, decode_photo, to_jpeg

    limits = DecodeLimits(max_bytes=settings.MAX_PHOTO_BYTES, max_pixels=settings.MAX_PHOTO_PIXELS)
    decoded = decode_photo(data, limits)
    known: GoldenPhoto | None = plan.golden_photos.filter(sha256=decoded.sha256).first()
    if known is not None:
        return known
    if plan.golden_photos.count() >= MOST:
        raise InputError(f"A plan holds at most {MOST} golden photos. Remove one first.")
    key = f"golden/{plan.pk}/{decoded.sha256}.jpg"
    image = to_jpeg(decoded.pixels, max_side=LONGEST_SIDE, quality=95)
    stored = default_storage.save(key, ContentFile(image))
    photo, _ = GoldenPhoto.objects.get_or_create(
        plan=plan,
        sha256=decoded.sha256,
        defaults={"site": membership.site, "image_key": stored, "name": name[:255]},
    )
    return photo


def remove_golden(photo: GoldenPhoto) -> None:
    """Take it out of the comparison, with its file."""
    key = photo.image_key
    photo.delete()
    transaction.on_commit(lambda: default_storage.delete(key))
