"""What the drawing page sends, as typed values; anything else is refused with words."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_COUNTS = 400_000
"""Characters of a mask's runs: ten times what a blob across a photo of 8,700 columns takes."""
MOST_CHANGES = 200
MOST_POINTS = 64
MOST_DRAFT = 3_000_000
TOO_LARGE = "That is more than can be sent at once. Save fewer findings at a time."

Name = Annotated[str, Field(pattern=r"^[\w.:-]{1,64}$")]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Sent = TypeVar("Sent", bound=BaseModel)


class UnreadableError(Exception):
    """What was sent can't be used. ``index``: the change that is wrong, None where none is."""

    def __init__(self, words: str, index: int | None = None, status: int = 422) -> None:
        super().__init__(words)
        self.index = index
        self.status = status


class Body(BaseModel):
    """Unknown fields are passed over, so that an older server takes a newer page's words."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MaskSent(Body):
    """A mask as compressed COCO runs; ``size`` is (height, width)."""

    size: tuple[int, int]
    counts: str = Field(max_length=MOST_COUNTS)


Corner = tuple[Pixel, Pixel, Pixel, Pixel]
"""x, y, width and height in pixels of the photo."""


class ChangeSent(Body):
    """A field that is left out stays as it is; ``mask`` null leaves only a box."""

    op: Literal["change"]
    finding: UUID
    was: str
    mask: MaskSent | None = None
    box: Corner | None = None
    type: str | None = Field(default=None, max_length=64)
    severity: str | None = Field(default=None, max_length=20)
    comment: str = Field(default="", max_length=2000)


class AddSent(Body):
    """A finding that nobody had seen."""

    op: Literal["add"]
    type: str = Field(max_length=64)
    severity: str = Field(max_length=20)
    mask: MaskSent | None = None
    box: Corner | None = None
    comment: str = Field(default="", max_length=2000)


class RejectSent(Body):
    """No defect, and why."""

    op: Literal["reject"]
    finding: UUID
    was: str
    reason: str = Field(max_length=20)
    comment: str = Field(default="", max_length=2000)


OneChange = Annotated[ChangeSent | AddSent | RejectSent, Field(discriminator="op")]


class DraftMark(Body):
    """A page that draws, and how many strokes it has sent."""

    session: Name
    sequence: int = Field(ge=0, le=2**53)


class SaveSent(Body):
    """All of it or nothing. ``draft``: which draft this ends."""

    client_key: Annotated[str, Field(pattern=r"^[\w.:-]{8,56}$")]
    changes: list[OneChange] = Field(min_length=1, max_length=MOST_CHANGES)
    draft: DraftMark | None = None


class DraftSent(DraftMark):
    """A stroke. ``replaces``: the page whose draft this one takes over."""

    finding: UUID | None = None
    content: dict[str, Any]
    replaces: Name | None = None


class PointSent(Body):
    x: Pixel
    y: Pixel
    positive: bool = True


class PromptSent(Body):
    """What to outline; neither a box nor a point asks to get ready."""

    key: str = Field(default="", max_length=64)
    box: Corner | None = None
    points: list[PointSent] = Field(default=[], max_length=MOST_POINTS)


def parsed(request: HttpRequest, kind: type[Sent]) -> Sent:
    """The body of a request. Raises UnreadableError with words for the page."""
    try:
        raw = json.loads(request.body, parse_constant=_no_number)
    except RequestDataTooBig:
        raise UnreadableError(TOO_LARGE, status=413) from None
    except (ValueError, RecursionError):
        raise UnreadableError("This is no valid JSON.") from None
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise _in_words(error) from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number that can be stored")


def _in_words(error: ValidationError) -> UnreadableError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = [str(part) for part in first["loc"]]
    index = int(place[1]) if place[:1] == ["changes"] and len(place) > 1 else None
    return UnreadableError(f"{'.'.join(place) or 'The request'}: {first['msg']}", index)


def storable_json(value: object) -> str:
    """Why JSON can't be kept, "" where it can: Postgres takes neither NUL nor half a character."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MOST_DRAFT:
        return "The drawing is too large to be kept as a draft. Save what you have."
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "The drawing has a character that can't be stored."
    # json.dumps writes a NUL as \u0000.
    return "The drawing has a character that can't be stored." if "\\u0000" in text else ""
