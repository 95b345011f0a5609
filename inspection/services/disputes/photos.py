"""Photos of the party: kept as sent, read and re-encoded by a worker, served only then.

A photo is sent on its own as soon as it is chosen, so that a form that is refused, or a connection
that breaks, loses none. It belongs to a draft until the statement is sent.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from inspection.celery import app
from inspection.models import DisputeLink, DisputePhoto
from inspection.models.base import new_id
from inspection.models.choices import PhotoStatus
from inspection.services.disputes.links import check_may_write, lock_link
from inspection.services.disputes.refusals import DisputeRefusedError
from inspection.services.inspections import storable
from inspection.services.intake import fetch, put, remove
from models_runtime.errors import InputError
from models_runtime.intake.kinds import photo_kind, what_it_is
from models_runtime.intake.names import clean_name

logger = logging.getLogger(__name__)

READ_TASK = "inspection.dispute_tasks.read_photo"
MOST_OF_STATEMENT = 6
MOST_OF_LINK = 40
MOST_BYTES = 25_000_000
VIEW_SIDE, THUMB_SIDE = 2048, 320
DRAFT_KEPT = timedelta(days=2)
LATE = timedelta(seconds=30)
MOST_SWEPT = 200


def most_bytes() -> int:
    """Largest photo that is taken from outside the house."""
    return int(min(MOST_BYTES, settings.MAX_PHOTO_BYTES))


def add_photo(
    link: DisputeLink, draft: UUID, client_key: str, name: str, file: IO[bytes], size: int
) -> DisputePhoto:
    """Keep a photo of a draft, and have a worker read it. The same key again is the same photo.

    Raises DisputeRefusedError for what is no photo, is too large or is one too many.
    """
    if not 0 < len(client_key) <= 64:
        raise DisputeRefusedError("This photo has no key of its own. Reload the page.")
    _check_file(file, size)
    key = f"disputes/{link.site_id}/{new_id()}"
    data = file.read()
    photo = _row(link, draft, client_key, name, data, key)
    if photo.original_key == key:
        wake(photo.pk)
    return photo


def _check_file(file: IO[bytes], size: int) -> None:
    most = most_bytes()
    if size > most:
        raise DisputeRefusedError(
            f"This photo has {size / 1e6:,.0f} MB; the limit is {most / 1e6:,.0f} MB. "
            "Send a smaller copy of it."
        )
    head = file.read(64)
    file.seek(0)
    if not head:
        raise DisputeRefusedError("This file is empty. Choose the photo again.")
    if photo_kind(head) is None:
        raise DisputeRefusedError(what_it_is(head))


@transaction.atomic
def _row(
    link: DisputeLink, draft: UUID, client_key: str, name: str, data: bytes, key: str
) -> DisputePhoto:
    import hashlib

    locked = lock_link(link)
    check_may_write(locked)
    mine = DisputePhoto.objects.filter(link=locked)
    known: DisputePhoto | None = mine.filter(draft=draft, client_key=client_key).first()
    if known is not None:
        return known
    if mine.filter(draft=draft).count() >= MOST_OF_STATEMENT:
        raise DisputeRefusedError(
            f"A statement takes {MOST_OF_STATEMENT} photos. Remove one, or write another statement."
        )
    if mine.count() >= MOST_OF_LINK:
        raise DisputeRefusedError("No more photos can be taken by this link.")
    put(key, data)
    photo: DisputePhoto = DisputePhoto.objects.create(
        site_id=locked.site_id,
        link=locked,
        draft=draft,
        client_key=client_key,
        name=clean_name(storable(name))[:255],
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        original_key=key,
    )
    return photo


def wake(photo_id: UUID) -> bool:
    """Tell the intake workers that there is a photo to read; False if unheard."""
    try:
        app.send_task(READ_TASK, args=[str(photo_id)], queue="intake", retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker did not take a message (%s); the sweeper will", error)
        return False
    return True


def read_photo(photo_id: UUID) -> None:
    """Decode within limits, turn upright, re-encode without EXIF. May be repeated."""
    from inspection.pipeline.photos import limits  # here: decoders are heavy for the web process
    from models_runtime.intake.decode import decode_photo, to_jpeg

    rows = DisputePhoto.objects.filter(pk=photo_id, status=PhotoStatus.RECEIVED)
    photo = rows.first()
    if photo is None:
        return
    try:
        decoded = decode_photo(fetch(photo.original_key), limits())
    except (InputError, FileNotFoundError) as error:
        lost = "This photo got lost on the way. Send it again."
        told = str(error) if isinstance(error, InputError) else lost
        rows.update(status=PhotoStatus.UNUSABLE, message=told)
        return
    view_key, thumb_key = f"{photo.original_key}.view.jpg", f"{photo.original_key}.thumb.jpg"
    put(view_key, to_jpeg(decoded.pixels, max_side=VIEW_SIDE))
    put(thumb_key, to_jpeg(decoded.pixels, max_side=THUMB_SIDE, quality=80))
    height, width = decoded.pixels.shape[:2]
    rows.update(
        status=PhotoStatus.READY, width=width, height=height, view_key=view_key, thumb_key=thumb_key
    )


@transaction.atomic
def remove_photo(link: DisputeLink, photo_id: UUID) -> None:
    """Take a photo out of a draft, with its files; what belongs to a statement stays."""
    locked = lock_link(link)
    check_may_write(locked)
    found = DisputePhoto.objects.filter(link=locked, pk=photo_id, statement__isnull=True)
    photo = found.select_for_update().first()
    if photo is not None:
        _delete(photo)


def _delete(photo: DisputePhoto) -> None:
    keys = [key for key in (photo.original_key, photo.view_key, photo.thumb_key) if key]
    photo.delete()
    transaction.on_commit(lambda: remove(keys))


def tidy_up() -> int:
    """Delete photos of forms that were never sent, and wake a worker for those that none has read;
    of how many. Called by the sweeper."""
    now = timezone.now()
    old = DisputePhoto.objects.filter(statement__isnull=True, created_at__lt=now - DRAFT_KEPT)
    gone = 0
    for pk in old.values_list("pk", flat=True)[:MOST_SWEPT]:
        with transaction.atomic():
            photo = old.filter(pk=pk).select_for_update(skip_locked=True).first()
            if photo is not None:
                _delete(photo)
                gone += 1
    unread = DisputePhoto.objects.filter(status=PhotoStatus.RECEIVED, created_at__lt=now - LATE)
    ids = list(unread.order_by("created_at").values_list("pk", flat=True)[:MOST_SWEPT])
    return gone + sum(wake(pk) for pk in ids)
