"""JavaScript modules: a file that pages load by its hashed name must not be imported too."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_no_module_runs_twice_under_two_names() -> None:
    loaded = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r"static 'js/([\w-]+\.js)'", template.read_text())
    }
    imported = {
        name
        for module in (ROOT / "static" / "js").glob("*.js")
        for name in re.findall(r'(?:from|import\() ?"\./([\w-]+\.js)"', module.read_text())
    }
    assert loaded
    assert imported
    assert loaded & imported == set()


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", text), template
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template
