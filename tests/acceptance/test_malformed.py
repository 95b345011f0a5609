"""Two hundred malformed files in a batch with good photos, through the real intake."""

from __future__ import annotations

import uuid

import pytest
from malformed_files import malformed
from pipeline_world import photo_bytes, world  # noqa: F401

from inspection.models import Inspection, Upload
from inspection.models.choices import InspectionStatus, UploadStatus
from inspection.services import uploads

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]
GOOD = 10


def send(world, batch, name, data):  # noqa: F811
    upload = uploads.begin_upload(
        membership=world.operator,
        batch=batch,
        client_key=uuid.uuid4().hex,
        name=name,
        size=len(data),
        plan=world.plan,
    )
    if upload.status == UploadStatus.RECEIVING:
        for index in range(uploads.chunk_count(upload)):
            start = index * upload.chunk_bytes
            uploads.store_chunk(upload, index, data[start : start + upload.chunk_bytes])
        uploads.complete_upload(upload)
        uploads.receive(upload.pk)
    return upload


def test_each_malformed_file_gets_a_clear_word_and_the_others_go_on(world):  # noqa: F811
    batch = uuid.uuid4()
    files = malformed(200)
    every = len(files) // GOOD
    good, bad = [], []
    for number, (name, data) in enumerate(files):
        bad.append(send(world, batch, name, data))
        if number % every == 0:
            square = (number % 90, 9, number % 90 + 30, 60)
            good.append(send(world, batch, f"good-{number}.png", photo_bytes(square)))
    for unit in Inspection.objects.all():
        world.run(unit)

    rows = {row.pk: row for row in Upload.objects.select_related("inspection")}
    for upload in bad:
        told(rows[upload.pk])
    for member in Upload.objects.filter(parent__isnull=False):
        told(member)
    for upload in good:
        assert rows[upload.pk].inspection.status == InspectionStatus.DECIDED
        assert rows[upload.pk].inspection.findings.count() == 1
    assert len(bad) == 200
    assert not Upload.objects.filter(status=UploadStatus.RECEIVED).exists()


def told(row):
    """The file made no verdict, and what a person reads says what is wrong and what to do."""
    unit = row.inspection
    assert row.status == UploadStatus.REFUSED or unit is not None, row.name
    assert unit is None or unit.status == InspectionStatus.FAILED, row.name
    message = unit.message if unit else row.message
    assert len(message.split()) >= 6, (row.name, message)
    assert message.rstrip()[-1] in ".?)", (row.name, message)
    for word in ("Traceback", "Errno", "Exception", "None"):
        assert word not in message, (row.name, message)
