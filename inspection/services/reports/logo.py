"""The logo of a site: checked, decoded within limits, and kept as a PNG of our own encoding."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import NoReturn

from inspection.models import Membership, SiteLogo
from inspection.models.choices import Role
from inspection.services.intake import put
from inspection.services.reports.refusals import ReportRefusedError

MOST_BYTES = 2_000_000
MOST_PIXELS = 16_000_000
LONGEST_SIDE = 900
LEAST_SIDE = 16
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
NO_PICTURE = "This file is no picture that can be read. Send the logo as PNG, JPEG or WebP."


def set_logo(membership: Membership, data: bytes) -> SiteLogo:
    """Put a logo in place of the one before. ReportRefusedError with words for who sent it."""
    _check(membership)
    image, width, height = encoded(data)
    digest = hashlib.sha256(image).hexdigest()
    key = f"logos/{membership.site_id}/{digest}.png"
    put(key, image)
    logo: SiteLogo
    logo, _ = SiteLogo.objects.update_or_create(
        site=membership.site,
        defaults={
            "image_key": key,
            "sha256": digest,
            "width": width,
            "height": height,
            "updated_by": membership.user,
        },
    )
    return logo


def remove_logo(membership: Membership) -> None:
    """New reports go without; those that were made keep the file."""
    _check(membership)
    SiteLogo.objects.for_site(membership.site).delete()


def encoded(data: bytes) -> tuple[bytes, int, int]:
    """The picture as PNG, with its width and height. Nothing of the file sent is kept: no
    metadata, no further frames, no other bytes."""
    if not data:
        raise ReportRefusedError("This file is empty. Choose the logo again.")
    if len(data) > MOST_BYTES:
        refuse_size(len(data))
    return _decoded(data)


def refuse_size(size: int) -> NoReturn:
    """For a file of too many bytes, which need not be read for that."""
    raise ReportRefusedError(
        f"This file has {size / 1e6:.1f} MB; a logo may have {MOST_BYTES / 1e6:.0f} MB. "
        "Send a smaller one."
    )


def _decoded(data: bytes) -> tuple[bytes, int, int]:
    from PIL import Image, UnidentifiedImageError  # here: only who sends a logo needs it

    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise ReportRefusedError("This logo has too many pixels. Send a smaller one.")
            if min(opened.size) < LEAST_SIDE:
                raise ReportRefusedError(
                    f"This logo is smaller than {LEAST_SIDE} px: it would be a blur on paper. "
                    "Send a larger one."
                )
            image = opened.convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ReportRefusedError(NO_PICTURE) from None
    except (OSError, ValueError, SyntaxError):
        raise ReportRefusedError(f"The picture is damaged. {NO_PICTURE}") from None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue(), image.width, image.height


def _check(membership: Membership) -> None:
    if not membership.allows(Role.MANAGER):
        raise ReportRefusedError("Only quality managers change the logo. Ask one of them.")
