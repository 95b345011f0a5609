from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection import environment as env
from inspection.environment import PAGE, PROJECT_ROOT, SettingError

NAME = "LOUPE_SETTING_OF_A_TEST"
DEVELOPERS_ONLY = {"LOUPE_TEST_SESSION"}


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Give each test a table of its own, so that the real one stays as it is."""
    monkeypatch.setattr(env, "_registered", {})
    monkeypatch.delenv(NAME, raising=False)


@pytest.fixture
def given_value(monkeypatch):
    return lambda value: monkeypatch.setenv(NAME, value)


READERS = [
    pytest.param(lambda: env.integer(NAME, default=3, help="", minimum=1), "0", id="small"),
    pytest.param(lambda: env.integer(NAME, default=3, help="", maximum=9), "10", id="big"),
    pytest.param(lambda: env.integer(NAME, default=3, help=""), "3.5", id="not whole"),
    pytest.param(lambda: env.number(NAME, default=3, help=""), "three", id="not a number"),
    pytest.param(lambda: env.number(NAME, default=3, help=""), "nan", id="nan"),
    pytest.param(lambda: env.boolean(NAME, default=True, help=""), "maybe", id="not a switch"),
    pytest.param(lambda: env.choice(NAME, default="a", choices="ab", help=""), "c", id="choice"),
    pytest.param(
        lambda: env.url(NAME, default="", schemes=["https"], help=""), "ftp://x", id="scheme"
    ),
    pytest.param(lambda: env.url(NAME, default="", schemes=["https"], help=""), "x", id="no url"),
]


@pytest.mark.parametrize(("read", "value"), READERS)
def test_a_wrong_value_is_named_together_with_what_to_write(read, value, given_value):
    given_value(value)
    with pytest.raises(SettingError) as caught:
        read()
    assert re.fullmatch(
        rf"{NAME}='{re.escape(value)}' can't be used: write .+\.", str(caught.value)
    )


def test_a_password_in_a_wrong_url_is_not_printed(given_value):
    given_value("mysql://loupe:secret@db/x")
    with pytest.raises(SettingError) as caught:
        env.url(NAME, default="", schemes=["postgresql"], help="")
    assert "secret" not in str(caught.value)
    assert "mysql://loupe:***@db/x" in str(caught.value)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_not_set(given_value, value):
    given_value(value)
    assert env.integer(NAME, default=7, help="") == 7


@given(st.integers())
def test_whole_numbers_are_read_back(value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NAME, str(value))
        assert env.integer(NAME, default=0, help="") == value


@given(st.floats(allow_nan=False))
def test_numbers_are_read_back(value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NAME, repr(value))
        assert env.number(NAME, default=0, help="") == value


@pytest.mark.parametrize(
    ("value", "wanted"), [("Yes", True), ("1", True), ("on", True), ("FALSE", False), ("0", False)]
)
def test_switches_are_read_in_any_case(given_value, value, wanted):
    given_value(value)
    assert env.boolean(NAME, default=not wanted, help="") is wanted


def test_words_lose_their_blanks_and_empty_ones_are_dropped(given_value):
    given_value(" a, b ,,c ")
    assert env.words(NAME, help="") == ["a", "b", "c"]


def test_a_relative_path_starts_at_the_project_and_a_tilde_at_home(given_value):
    given_value("data/x")
    assert env.path(NAME, default="y", help="") == PROJECT_ROOT / "data" / "x"
    given_value("~/x")
    assert env.path(NAME, default="y", help="") == Path.home() / "x"


def test_a_setting_read_in_two_ways_is_a_mistake_in_the_program():
    env.integer(NAME, default=1, help="")
    env.integer(NAME, default=1, help="")
    with pytest.raises(RuntimeError, match=NAME):
        env.integer(NAME, default=2, help="")


@pytest.fixture(scope="module")
def table():
    return env.complete_table()


def test_every_setting_is_documented_as_it_is(table):
    page = PAGE.read_text()
    remedy = "run `python -m inspection.environment --write`"
    assert env.with_table(page, table) == page, remedy


def test_every_setting_says_what_it_does(table):
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    assert len(rows) > 20
    assert all(len(help) > 10 for *_, help in rows)


def test_no_setting_is_read_or_spoken_of_that_is_not_documented():
    page = PAGE.read_text()
    unknown = {
        (name, str(file.relative_to(PROJECT_ROOT)))
        for folder in ("inspection", "models_runtime", "templates", "docker")
        for file in (PROJECT_ROOT / folder).rglob("*")
        if file.suffix in {".py", ".html", ".yaml", ""} and file.is_file()
        for name in re.findall(r"\bLOUPE_[A-Z0-9_]+\b", file.read_text(errors="replace"))
        if f"`{name}`" not in page and name not in DEVELOPERS_ONLY
    }
    assert unknown == set()


def test_only_the_typed_readers_look_into_the_environment():
    """Elsewhere the environment is passed on, is that of an outside convention, or the name of the
    variable is given on the command line."""
    allowed = {
        "inspection/environment.py",
        "inspection/celery.py",
        "inspection/wsgi.py",
        "inspection/management/commands/serve_models.py",
        "inspection/pipeline/runtime.py",
    }
    readers = {
        str(file.relative_to(PROJECT_ROOT))
        for file in (PROJECT_ROOT / "inspection").rglob("*.py")
        if re.search(r"os\.(environ|getenv)", file.read_text()) and "supervisor" not in file.parts
    }
    assert readers - allowed == set()
