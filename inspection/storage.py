"""Where photo files are kept: a directory or an S3-compatible bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def storage_settings(address: str, default: Path) -> dict[str, Any]:
    """Turn LOUPE_STORAGE_URL into an entry of Django's STORAGES; empty means ``default``."""
    parts = urlsplit(address)
    if parts.scheme == "s3":
        return _s3(parts.netloc, parts.path.strip("/"), dict(parse_qsl(parts.query)))
    location = Path(unquote(parts.path)) if address else default
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": str(location),
            "file_permissions_mode": 0o600,
            # A step that runs again writes the same file again, as in a bucket.
            "allow_overwrite": True,
        },
    }


def _s3(bucket: str, prefix: str, options: dict[str, str]) -> dict[str, Any]:
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "location": prefix,
            "endpoint_url": options.get("endpoint"),
            "region_name": options.get("region"),
            "default_acl": "private",
            "file_overwrite": True,
        },
    }
