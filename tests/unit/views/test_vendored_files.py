"""What was copied from other projects is what its manifest says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[3] / "static" / "vendor"


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    named = {
        name: digest
        for package in manifest["packages"]
        for name, digest in package["files"].items()
    }
    there = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert named == there


def test_every_vendored_package_comes_with_its_licence() -> None:
    for package in json.loads((VENDOR / "manifest.json").read_text())["packages"]:
        assert package["licence"]
        assert (VENDOR / package["licence_file"]).stat().st_size > 500
