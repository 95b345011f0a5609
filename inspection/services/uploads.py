"""Files on their way in: begun, received in chunks, whole, and turned into inspections.

Each function may be called again with the same arguments without doubling anything.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.functions import Now

from inspection.models import Inspection, Membership, Plan, Upload, UploadChunk
from inspection.models.choices import UploadStatus
from inspection.pipeline.wake import wake_upload
from inspection.services.inspections import CONTEXT, create_inspection, storable, unit_context
from inspection.services.intake import StoredFile, fetch_head, put, remove, store_bytes, store_parts
from models_runtime.errors import InputError
from models_runtime.intake.archives import (
    ArchiveLimits,
    ArchiveMember,
    open_archive,
    read_archive,
)
from models_runtime.intake.kinds import photo_kind, what_it_is
from models_runtime.intake.names import clean_name

logger = logging.getLogger(__name__)

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
OFFICE_MEMBERS = {"[Content_Types].xml", "mimetype", "AndroidManifest.xml", "META-INF/MANIFEST.MF"}
TOUCH_EVERY = 20
UNFINISHED_AFTER = timedelta(days=7)
STILL_DROPPING = timedelta(minutes=1)
NEVER_WHOLE = "This file never arrived as a whole. Choose it again."


class UploadRefusedError(Exception):
    """The sender did something that can't work; the message says what to do."""


def begin_upload(
    *,
    membership: Membership,
    batch: UUID,
    client_key: str,
    name: str,
    size: int,
    plan: Plan | None = None,
    reference: str = "",
    note: str = "",
    wants_report: bool = False,
    context: Mapping[str, str] | None = None,
) -> Upload:
    """Announce a file, or find the one announced before by the same batch and key.

    A file that can't be taken (empty, too large) is answered with status REFUSED and a message.
    """
    refusal = _refusal(size)
    upload, made = Upload.objects.get_or_create(
        site=membership.site,
        batch=batch,
        client_key=client_key,
        defaults={
            "name": clean_name(storable(name)),
            "size_bytes": size,
            "chunk_bytes": settings.UPLOAD_CHUNK_BYTES,
            "status": UploadStatus.REFUSED if refusal else UploadStatus.RECEIVING,
            "message": refusal,
            "plan": plan,
            "reference": storable(reference)[:200],
            "note": storable(note)[:4000],
            "wants_report": wants_report,
            "created_by": membership.user,
            **unit_context(context or {}),
        },
    )
    if not made and upload.size_bytes != size:
        raise UploadRefusedError(
            f"This client_key already stands for a file of {upload.size_bytes:,} bytes in this "
            "batch. Make another client_key for another file."
        )
    return upload


def _refusal(size: int) -> str:
    if size == 0:
        return "This file is empty (0 bytes). Copy it again from the camera."
    if size > settings.MAX_FILE_BYTES:
        most = settings.MAX_FILE_BYTES / 1e6
        return (
            f"This file has {size / 1e6:,.0f} MB; the limit is {most:,.0f} MB. "
            "Split it, or ask an admin to raise LOUPE_MAX_FILE_MB."
        )
    return ""


def chunk_count(upload: Upload) -> int:
    """How many chunks the file has."""
    return -(-upload.size_bytes // upload.chunk_bytes)


def chunk_key(upload: Upload, index: int) -> str:
    """Where a chunk is kept until the file is whole."""
    return f"uploads/{upload.pk}/{index}"


def received_chunks(upload: Upload) -> list[int]:
    """Which chunks are safely stored; a sender that was cut off sends the others."""
    return list(upload.chunks.order_by("index").values_list("index", flat=True))


def store_chunk(upload: Upload, index: int, data: bytes) -> None:
    """Keep one chunk, in any order; the same one again does no harm.

    Raises UploadRefusedError for a wrong size or number and for a file that was refused.
    """
    if upload.status == UploadStatus.REFUSED:
        raise UploadRefusedError(upload.message)
    _check_chunk(upload, index, len(data))
    if upload.status != UploadStatus.RECEIVING:
        return
    put(chunk_key(upload, index), data)
    UploadChunk.objects.bulk_create(
        [UploadChunk(upload=upload, index=index, size_bytes=len(data))], ignore_conflicts=True
    )


def _check_chunk(upload: Upload, index: int, size: int) -> None:
    count = chunk_count(upload)
    if not 0 <= index < count:
        raise UploadRefusedError(
            f"This file has chunks 0 to {count - 1}; there is no chunk {index}."
        )
    last = index == count - 1
    wanted = upload.size_bytes - index * upload.chunk_bytes if last else upload.chunk_bytes
    if size != wanted:
        raise UploadRefusedError(
            f"Chunk {index} must have {wanted:,} bytes but has {size:,}. "
            "Did the file change while it was sent? Start it again."
        )


def complete_upload(upload: Upload) -> Upload:
    """Say that all chunks are there. Raises UploadRefusedError that names those missing."""
    missing = sorted(set(range(chunk_count(upload))) - set(received_chunks(upload)))
    if upload.status == UploadStatus.RECEIVING and missing:
        shown = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
        raise UploadRefusedError(f"Chunks are missing: {shown}. Send them, then complete again.")
    with transaction.atomic():
        whole = Upload.objects.filter(pk=upload.pk, status=UploadStatus.RECEIVING).update(
            status=UploadStatus.RECEIVED, updated_at=Now()
        )
        if whole:
            transaction.on_commit(partial(wake_upload, upload.pk))
    upload.refresh_from_db()
    return upload


def receive(upload_id: UUID) -> None:
    """Turn a whole file into inspections; runs in a worker, as often as it is woken."""
    upload = (
        Upload.objects.select_related("site", "plan", "created_by")
        .filter(pk=upload_id, status=UploadStatus.RECEIVED)
        .first()
    )
    if upload is None:
        return
    try:
        file = _stored(upload)
        if _is_archive(file):
            _unpack(upload, file)
        else:
            _as_photo(upload, file)
    except InputError as error:
        _close(upload, UploadStatus.REFUSED, str(error))
    _drop_chunks(upload)


def _stored(upload: Upload) -> StoredFile:
    if not upload.stored_key:
        keys = [chunk_key(upload, index) for index in range(chunk_count(upload))]
        try:
            file = store_parts(upload.site, upload.name, keys)
        except FileNotFoundError:
            raise InputError("Parts of this file got lost on the way. Send it again.") from None
        first = Upload.objects.filter(pk=upload.pk, stored_key="").update(
            stored_key=file.stored_key, sha256=file.sha256, updated_at=Now()
        )
        if first:
            return file
        # Another worker has joined the chunks meanwhile: its copy is the one.
        remove([file.stored_key])
        upload.refresh_from_db()
    return StoredFile(upload.name, upload.stored_key, upload.sha256, upload.size_bytes)


def _drop_chunks(upload: Upload) -> None:
    indexes = received_chunks(upload)
    remove(chunk_key(upload, index) for index in indexes)
    upload.chunks.filter(index__in=indexes).delete()


def tidy_up(most: int = 50) -> int:
    """Give up files that nobody went on sending, and remove the chunks of those that are over (a
    worker died before it could); returns of how many. Called by the sweeper."""
    Upload.objects.filter(
        status=UploadStatus.RECEIVING, updated_at__lt=Now() - UNFINISHED_AFTER
    ).update(status=UploadStatus.REFUSED, message=NEVER_WHOLE, updated_at=Now())
    over = UploadChunk.objects.filter(
        upload__status__in=[UploadStatus.DONE, UploadStatus.REFUSED],
        upload__updated_at__lt=Now() - STILL_DROPPING,
    )
    ids = list(over.values_list("upload", flat=True).distinct()[:most])
    for upload in Upload.objects.filter(pk__in=ids):
        _drop_chunks(upload)
    return len(ids)


def _as_photo(upload: Upload, file: StoredFile) -> None:
    """One photo, one inspection. What it holds is judged by its bytes, not by its name."""
    head = fetch_head(file.stored_key)
    if photo_kind(head) is None:
        raise InputError(what_it_is(head))
    if file.size_bytes > settings.MAX_PHOTO_BYTES:
        most = settings.MAX_PHOTO_BYTES / 1e6
        raise InputError(
            f"This photo has {file.size_bytes / 1e6:,.0f} MB; the limit is {most:,.0f} MB. "
            "Save it as JPEG and upload that."
        )
    _become_inspection(upload, file)


def context_of(upload: Upload) -> dict[str, str]:
    """What was said of the units in the file."""
    return {name: getattr(upload, name) for name in CONTEXT}


@transaction.atomic
def _become_inspection(upload: Upload, file: StoredFile) -> Inspection | None:
    """Both or nothing: of two workers at the same file only one makes an inspection."""
    if not _close(upload, UploadStatus.DONE, ""):
        return None
    inspection = create_inspection(
        site=upload.site,
        created_by=upload.created_by,
        files=[file],
        plan=upload.plan,
        reference=upload.reference,
        note=upload.note,
        wants_report=upload.wants_report,
        context=context_of(upload),
    )
    Upload.objects.filter(pk=upload.pk).update(inspection=inspection)
    return inspection


def _close(upload: Upload, status: UploadStatus, message: str) -> bool:
    return bool(
        Upload.objects.filter(pk=upload.pk, status=UploadStatus.RECEIVED).update(
            status=status, message=message, updated_at=Now()
        )
    )


def _is_archive(file: StoredFile) -> bool:
    """Whether this is a zip of files, not an office document. Raises InputError where its list of
    files is too long to be read at all."""
    if not fetch_head(file.stored_key).startswith(ZIP_SIGNATURES):
        return False
    with default_storage.open(file.stored_key, "rb") as source:
        try:
            with open_archive(cast(BinaryIO, source)) as archive:
                return not OFFICE_MEMBERS & set(archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return file.name.lower().endswith(".zip")


def _unpack(parent: Upload, file: StoredFile) -> None:
    """Each member gets a row, a status and a message of its own; a bad one does not stop others."""
    taken = refused = 0
    with default_storage.open(file.stored_key, "rb") as source:
        for index, member in enumerate(_members(source)):
            if index % TOUCH_EVERY == 0:
                Upload.objects.filter(pk=parent.pk).update(updated_at=Now())
            if _receive_member(parent, index, member):
                taken += 1
            else:
                refused += 1
    if not taken + refused:
        raise InputError("This zip holds no files. Pack the photos and upload it again.")
    message = f"{taken} photo{'s' if taken != 1 else ''} taken from this zip"
    message += f", {refused} refused." if refused else "."
    _close(parent, UploadStatus.DONE if taken else UploadStatus.REFUSED, message)


def _members(source: Any) -> Iterator[ArchiveMember]:
    yield from read_archive(source, ArchiveLimits(max_member_bytes=settings.MAX_PHOTO_BYTES))


def _receive_member(parent: Upload, index: int, member: ArchiveMember) -> bool:
    child = _child(parent, index, member)
    if child.status != UploadStatus.RECEIVED:
        return bool(child.status == UploadStatus.DONE)
    if member.data is None:
        _close(child, UploadStatus.REFUSED, member.error or "This file can't be read.")
        return False
    try:
        if not member.data:
            raise InputError(_refusal(0))
        _as_photo(child, store_bytes(parent.site, child.name, member.data))
    except InputError as error:
        _close(child, UploadStatus.REFUSED, str(error))
        return False
    return True


def _child(parent: Upload, index: int, member: ArchiveMember) -> Upload:
    child, _ = Upload.objects.select_related("site", "plan", "created_by").get_or_create(
        site=parent.site,
        batch=parent.batch,
        client_key=f"{parent.pk}/{index}",
        defaults={
            "parent": parent,
            "name": member.name,
            "size_bytes": len(member.data or b""),
            "chunk_bytes": parent.chunk_bytes,
            "status": UploadStatus.RECEIVED,
            "plan": parent.plan,
            "reference": parent.reference,
            "note": parent.note,
            "wants_report": parent.wants_report,
            "created_by": parent.created_by,
            **context_of(parent),
        },
    )
    return child  # type: ignore[no-any-return]
