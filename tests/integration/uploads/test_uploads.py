"""Files arrive in chunks, zips are taken apart, and each file gets a word of its own."""

from __future__ import annotations

import io
import uuid
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone
from pipeline_world import photo_bytes

from inspection.models import Inspection, Upload
from inspection.services import uploads
from inspection.services.intake import fetch, put
from inspection.services.uploads import UploadRefusedError

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def begin(world, data, name="photo.png", batch=None, **options):
    return uploads.begin_upload(
        membership=world.operator,
        batch=batch or uuid.uuid4(),
        client_key=options.pop("client_key", "") or f"{name}:{len(data)}",
        name=name,
        size=len(data),
        **options,
    )


def chunks(upload, data):
    size = upload.chunk_bytes
    return [data[start : start + size] for start in range(0, len(data), size)]


def send(world, data, name="photo.png", **options):
    """Upload a file as a whole and let a worker take it in."""
    upload = begin(world, data, name, **options)
    for index, chunk in enumerate(chunks(upload, data)):
        uploads.store_chunk(upload, index, chunk)
    uploads.complete_upload(upload)
    uploads.receive(upload.pk)
    return Upload.objects.get(pk=upload.pk)


def packed(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_photo_becomes_an_inspection_with_what_the_sender_said(world):
    data = photo_bytes()
    upload = send(world, data, plan=world.plan, reference="SN-1", note="left side")
    unit = upload.inspection
    photo = unit.photos.get()
    assert (upload.status, upload.message) == ("done", "")
    assert (unit.plan, unit.reference, unit.note) == (world.plan, "SN-1", "left side")
    assert fetch(photo.original_key) == data
    assert (photo.sha256, photo.size_bytes) == (upload.sha256, len(data))


def test_chunks_may_come_in_any_order_and_twice(world, settings):
    settings.UPLOAD_CHUNK_BYTES = 1000
    data = photo_bytes()
    upload = begin(world, data)
    parts = list(enumerate(chunks(upload, data)))
    for index, chunk in [*reversed(parts), *parts[:3]]:
        uploads.store_chunk(upload, index, chunk)
    uploads.complete_upload(upload)
    uploads.receive(upload.pk)
    upload.refresh_from_db()
    assert fetch(upload.stored_key) == data


def test_an_interrupted_upload_says_what_is_missing_and_goes_on(world, settings):
    settings.UPLOAD_CHUNK_BYTES = 1000
    data = photo_bytes()
    batch = uuid.uuid4()
    upload = begin(world, data, batch=batch)
    uploads.store_chunk(upload, 2, chunks(upload, data)[2])
    with pytest.raises(UploadRefusedError, match="Chunks are missing: 0, 1, 3"):
        uploads.complete_upload(upload)
    again = begin(world, data, batch=batch)
    assert again.pk == upload.pk
    assert uploads.received_chunks(again) == [2]


def test_sending_a_finished_file_again_doubles_nothing(world):
    data = photo_bytes()
    batch = uuid.uuid4()
    first = send(world, data, batch=batch)
    second = send(world, data, batch=batch)
    uploads.receive(first.pk)
    assert first.pk == second.pk
    assert Inspection.objects.count() == 1


@pytest.mark.parametrize("change", [-1, 1])
def test_a_chunk_of_the_wrong_size_is_refused_with_the_right_one(world, change):
    data = photo_bytes()
    upload = begin(world, data)
    wrong = data[:change] if change < 0 else data + b"x"
    with pytest.raises(UploadRefusedError, match="must have"):
        uploads.store_chunk(upload, 0, wrong)


def test_a_chunk_that_does_not_exist_is_refused(world):
    upload = begin(world, photo_bytes())
    with pytest.raises(UploadRefusedError, match="there is no chunk 7"):
        uploads.store_chunk(upload, 7, b"x")


def test_the_same_key_for_another_file_is_refused(world):
    batch = uuid.uuid4()
    begin(world, b"12345", batch=batch, client_key="k")
    with pytest.raises(UploadRefusedError, match="another client_key"):
        begin(world, b"1234", batch=batch, client_key="k")


def test_an_empty_file_is_refused_at_once(world):
    upload = begin(world, b"")
    assert upload.status == "refused"
    assert "empty" in upload.message


def test_a_file_beyond_the_limit_is_refused_before_it_is_sent(world, settings):
    settings.MAX_FILE_BYTES = 10
    upload = begin(world, b"x" * 11)
    assert upload.status == "refused"
    assert "limit" in upload.message
    with pytest.raises(UploadRefusedError, match="limit"):
        uploads.store_chunk(upload, 0, b"x" * 11)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.pdf", b"%PDF-1.7 ...", "Export the page as JPEG"),
        ("holiday.jpg", b"just some text, no photo", "is text, not a photo"),
        ("film.mov", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "still frame"),
    ],
)
def test_what_is_no_photo_is_refused_with_what_to_do(world, name, data, told):
    upload = send(world, data, name)
    assert upload.status == "refused"
    assert told in upload.message
    assert not Inspection.objects.exists()


def test_an_office_document_is_not_taken_for_a_zip_of_photos(world):
    upload = send(world, packed({"[Content_Types].xml": b"<x/>"}), "letter.docx")
    assert upload.status == "refused"
    assert "office document" in upload.message


def test_each_file_of_a_zip_gets_its_own_word(world):
    members = {
        "a/good.png": photo_bytes(),
        "a/other.jpg": photo_bytes(square=None, kind="JPEG"),
        "notes.txt": b"hello there, this is text",
        "empty.png": b"",
        "../../etc/passwd": b"root",
    }
    upload = send(world, packed(members), "photos.zip", plan=world.plan, reference="R")
    told = {row.name: (row.status, row.message) for row in upload.members.all()}
    assert (upload.status, upload.message) == ("done", "2 photos taken from this zip, 3 refused.")
    assert told["good.png"] == told["other.jpg"] == ("done", "")
    assert "is text" in told["notes.txt"][1]
    assert "empty" in told["empty.png"][1]
    assert "leads out of the zip" in told["passwd"][1]
    assert Inspection.objects.filter(plan=world.plan, reference="R").count() == 2


def test_a_worker_that_died_in_the_middle_of_a_zip_is_followed_by_one_that_doubles_nothing(
    world, monkeypatch
):
    data = packed({f"{n}.png": photo_bytes((n, 5, n + 9, 15)) for n in range(1, 6)})
    original = uploads._receive_member

    def dies(parent, index, member):
        if index == 3:
            raise SystemExit
        return original(parent, index, member)

    monkeypatch.setattr(uploads, "_receive_member", dies)
    with pytest.raises(SystemExit):
        send(world, data, "photos.zip")
    monkeypatch.setattr(uploads, "_receive_member", original)
    parent = Upload.objects.get(parent=None)
    assert parent.status == "received"
    uploads.receive(parent.pk)
    parent.refresh_from_db()
    assert parent.message == "5 photos taken from this zip."
    assert Inspection.objects.count() == 5


def test_a_zip_with_too_long_a_list_of_files_is_refused_with_words(world):
    data = bytearray(packed({"a.png": photo_bytes()}))
    data[-10:-6] = (300_000_000).to_bytes(4, "little")
    upload = send(world, bytes(data), "photos.zip")
    assert upload.status == "refused"
    assert "list of files alone has 300 MB" in upload.message


def test_a_damaged_zip_is_refused_with_words(world):
    data = packed({"a.png": photo_bytes()})
    upload = send(world, data[: len(data) // 2], "photos.zip")
    assert upload.status == "refused"
    assert "damaged" in upload.message


def test_lost_parts_are_told(world):
    data = photo_bytes()
    upload = begin(world, data)
    uploads.store_chunk(upload, 0, data)
    from django.core.files.storage import default_storage

    default_storage.delete(uploads.chunk_key(upload, 0))
    uploads.complete_upload(upload)
    uploads.receive(upload.pk)
    upload.refresh_from_db()
    assert upload.status == "refused"
    assert "Send it again" in upload.message


def test_names_from_outside_never_become_paths(world):
    upload = send(world, photo_bytes(), "../../\x00evil\u202egpj.exe.png", client_key="k")
    assert "/" not in upload.name
    assert upload.name.endswith(".png")
    assert upload.stored_key.startswith(f"originals/{world.site.pk}/")


def test_chunks_are_removed_when_the_file_is_taken_in(world, tmp_path):
    upload = send(world, photo_bytes())
    assert not list((tmp_path / "photos").glob(f"uploads/{upload.pk}/*"))


def test_chunks_that_a_dead_worker_left_are_removed_and_what_never_came_whole_is_given_up(
    world, tmp_path
):
    left, partial = send(world, photo_bytes()), begin(world, photo_bytes(), "half.png")
    uploads.store_chunk(partial, 0, photo_bytes())
    put(uploads.chunk_key(left, 0), b"left behind")
    left.chunks.create(index=0, size_bytes=11)
    assert uploads.tidy_up() == 0
    Upload.objects.filter(pk=left.pk).update(updated_at=timezone.now() - timedelta(minutes=5))
    Upload.objects.filter(pk=partial.pk).update(updated_at=timezone.now() - timedelta(days=8))
    assert uploads.tidy_up() == 1
    partial.refresh_from_db()
    assert (partial.status, partial.message) == ("refused", uploads.NEVER_WHOLE)
    Upload.objects.filter(pk=partial.pk).update(updated_at=timezone.now() - timedelta(minutes=5))
    assert uploads.tidy_up() == 1
    assert not list((tmp_path / "photos").glob("uploads/*/*"))
    assert uploads.tidy_up() == 0


def test_of_two_workers_that_join_the_same_file_one_copy_stays(world, tmp_path):
    data = photo_bytes()
    upload = begin(world, data)
    uploads.store_chunk(upload, 0, data)
    uploads.complete_upload(upload)
    stale = Upload.objects.select_related("site").get(pk=upload.pk)
    first = uploads._stored(upload)
    second = uploads._stored(stale)
    assert first.stored_key == second.stored_key
    kept = [path for path in (tmp_path / "photos/originals").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [first.stored_key.rsplit("/", 1)[1]]
