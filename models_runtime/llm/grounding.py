"""Does a sentence say only what the evidence says? Rules, no model: the judge must not guess.

A sentence passes when its numbers, counts, defect names, severities, disposition, places, attribute
values and negations agree with the evidence it cites. Where the rules cannot tell, the sentence
fails: a template sentence in its place loses style, never truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models_runtime.contracts import AttributeResult, Finding, ReportInput
from models_runtime.llm import evidence as words
from models_runtime.llm import lexicon
from models_runtime.plans import DefectType

LONGEST_CLAIM = 400
NOVEL_SHARE = 0.4
"""At most this share of a sentence's longer words may come from outside the evidence."""

_WORD = re.compile(r"[a-z][a-z'-]*[a-z]|[a-z]")
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:[.,]\d+)?)\s*(%|percent)?")
_NEGATION_REACH = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """The evidence that one claim cites, ready to compare with."""

    evidence: ReportInput
    findings: tuple[Finding, ...]
    attributes: tuple[AttributeResult, ...]
    triage: bool
    photo: bool
    vocabulary: frozenset[str]


def problems(text: str, cited: Sequence[str], evidence: ReportInput) -> list[str]:
    """What is wrong with the sentence, in plain words; empty where it is grounded."""
    unknown = sorted(set(cited) - set(words.ids(evidence)))
    if unknown:
        return [f"cites what does not exist: {', '.join(unknown)}"]
    if not cited:
        return ["cites no evidence"]
    if len(text) > LONGEST_CLAIM or not text.isprintable() or not text.strip():
        return ["is empty, too long or not plain text"]
    facts = _facts(cited, evidence)
    plain = text.lower().replace("’", "'")
    checks = (
        _speculation,
        _numbers,
        _quantities,
        _defects,
        _soundness,
        _severities,
        _dispositions,
        _places,
        _attribute_values,
        _novelty,
    )
    return [problem for check in checks for problem in check(plain, facts)]


def _facts(cited: Sequence[str], evidence: ReportInput) -> Facts:
    return Facts(
        evidence=evidence,
        findings=tuple(f for f in evidence.findings if f"finding:{f.id}" in cited),
        attributes=tuple(a for a in evidence.attributes if f"attribute:{a.key}" in cited),
        triage="triage" in cited,
        photo="photo" in cited,
        vocabulary=frozenset(_cited_words(cited, evidence)),
    )


def _cited_words(cited: Sequence[str], evidence: ReportInput) -> Iterable[str]:
    """Words of the cited evidence only, so that one piece cannot lend its words to another."""
    told = [s.text for s in words.sentences(evidence) if set(s.evidence) & set(cited)]
    told += [evidence.plan.name]
    for finding in evidence.findings:
        if f"finding:{finding.id}" in cited or "triage" in cited:
            told += _names(evidence.plan.defect(finding.type), finding.type)
    return _WORD.findall(" ".join(told).lower())


def _names(entry: DefectType | None, key: str) -> list[str]:
    own = [key.replace("-", " ").replace("_", " ")]
    return own if entry is None else [*own, entry.name, *entry.synonyms]


def _speculation(text: str, facts: Facts) -> list[str]:
    found = [m[0] for m in lexicon.SPECULATION.finditer(text) if m[0] not in facts.vocabulary]
    return [f"says more than was seen: {found[0]!r}"] if found else []


def _numbers(text: str, facts: Facts) -> list[str]:
    """Each number must stand in the cited evidence; a number before a defect must be its count."""
    allowed = _allowed_numbers(facts)
    wrong = []
    for match in _NUMBER.finditer(_without_quotes(text, facts)):
        value = float(match[1].replace(",", "."))
        percent = bool(match[2])
        if not any(_same(value, number, percent) for number in allowed):
            wrong.append(f"the number {match[0].strip()} is not in the evidence it cites")
    return wrong + _counts(text, facts)


def _counts(text: str, facts: Facts) -> list[str]:
    wrong = []
    for match in re.finditer(
        r"\b(\d+|" + "|".join(lexicon.NUMBER_WORDS) + r")\b((?:\s+[a-z-]+){0,4})", text
    ):
        number = lexicon.NUMBER_WORDS.get(match[1])
        number = float(match[1]) if number is None else number
        expected = _expected_count(match[2].split(), facts)
        if expected is not None and number != expected:
            wrong.append(f"counts {match[1]}{match[2]}, the evidence has {expected}")
        elif expected is None and match[1] in lexicon.NUMBER_WORDS and match[1] != "one":
            wrong.append(f"the number {match[1]} is not in the evidence it cites")
    return wrong


def _expected_count(following: Sequence[str], facts: Facts) -> int | None:
    """How many findings the words after a number mean, None where they mean no findings."""
    chosen = list(facts.evidence.findings)
    for n, word in enumerate(following):
        severity = lexicon.SEVERITIES.get(word)
        if severity is not None:
            chosen = [f for f in chosen if f.severity in severity]
            continue
        if lexicon.GENERIC_DEFECT.fullmatch(word):
            return len(chosen)
        kinds = _kinds_at(following[n:], facts)
        if kinds:
            return sum(f.type in kinds for f in chosen)
    return None


def _kinds_at(following: Sequence[str], facts: Facts) -> set[str]:
    """Defect types whose name starts right here."""
    rest = " ".join(following)
    return {
        key
        for key, names in _catalogue(facts).items()
        if any(re.match(_pattern(name), rest) for name in names)
    }


def _quantities(text: str, facts: Facts) -> list[str]:
    """ "Several" needs two findings of the cited types, "many" three."""
    match = lexicon.QUANTITY.search(text)
    if match is None or match[0] in facts.vocabulary:
        return []
    kinds = {f.type for f in facts.findings}
    count = sum(f.type in kinds or not kinds for f in facts.evidence.findings)
    needed = 3 if match[0] in ("many", "numerous", "most") else 2
    return [] if count >= needed else [f"says {match[0]!r}, the evidence has {count}"]


def _defects(text: str, facts: Facts) -> list[str]:
    """Named defects must have been found; denied ones must not have been."""
    wrong = []
    named = {f.type for f in facts.findings} or (
        {f.type for f in facts.evidence.findings} if facts.triage or facts.photo else set()
    )
    found_anywhere = {f.type for f in facts.evidence.findings}
    rest = text
    for match, keys in _mentions(text, facts):
        rest = rest.replace(match[0], " ")
        if _negated(text, match.start()):
            if keys & found_anywhere:
                wrong.append(f"denies {match[0]!r}, which was found")
            elif words.undecided(facts.evidence):
                wrong.append(f"denies {match[0]!r}, which could not be decided")
        elif not keys & named and not _within_attribute(match[0], facts):
            wrong.append(f"names {match[0]!r}, which the cited evidence has not")
    return wrong + _stray_defects(rest, facts)


def _stray_defects(text: str, facts: Facts) -> list[str]:
    """Defect words outside the catalogue, such as a "leak" nobody reported."""
    wrong = []
    for match in _WORD.finditer(text):
        stem = _singular(match[0])
        if not {match[0], stem} & lexicon.DEFECT_WORDS or {match[0], stem} & facts.vocabulary:
            continue
        if _negated(text, match.start()) and not facts.evidence.findings:
            continue
        wrong.append(f"names {match[0]!r}, which is not in the evidence")
    return wrong


def _soundness(text: str, facts: Facts) -> list[str]:
    """Praise and "no defects" only where nothing was found and the unit is not on hold."""
    sound = [m for m in lexicon.SOUND.finditer(text) if m[0] not in facts.vocabulary]
    denied = [m for m in lexicon.GENERIC_DEFECT.finditer(text) if _negated(text, m.start())]
    if not sound and not denied:
        return []
    if facts.evidence.findings and not any(_negated(text, m.start()) for m in sound):
        return ["calls the unit sound although there are findings"]
    if words.undecided(facts.evidence) and not lexicon.UNKNOWN.search(text):
        return ["calls the unit sound although that could not be decided"]
    return []


def _severities(text: str, facts: Facts) -> list[str]:
    present = {f.severity for f in facts.findings}
    if facts.triage or not facts.findings:
        present |= {s for s in (facts.evidence.triage.severity,) if s is not None}
    if facts.triage and not facts.findings:
        present |= {f.severity for f in facts.evidence.findings}
    wrong = []
    for word, meant in lexicon.SEVERITIES.items():
        match = re.search(rf"\b{word}\b", text)
        if match is None or (word in facts.vocabulary and not meant.isdisjoint(present)):
            continue
        if _negated(text, match.start()) != meant.isdisjoint(present):
            wrong.append(f"severity {word!r} is not that of the cited evidence")
    return wrong


def _dispositions(text: str, facts: Facts) -> list[str]:
    """The verdict named must be the one given; others may only be denied."""
    wrong = []
    quoted = " ".join(facts.evidence.triage.reasons).lower() if facts.triage else ""
    for disposition, pattern in lexicon.DISPOSITIONS.items():
        for match in pattern.finditer(text):
            if quoted and text.removeprefix("reason: ").rstrip(".") in quoted:
                continue
            right = disposition is facts.evidence.triage.disposition
            if right == _negated(text, match.start()):
                wrong.append(
                    f"says {match[0]!r}, the disposition is {facts.evidence.triage.disposition}"
                )
            elif not facts.triage:
                wrong.append(f"says {match[0]!r} without citing the triage")
    return wrong


def _places(text: str, facts: Facts) -> list[str]:
    wrong = []
    for word in _WORD.findall(text):
        if word in facts.vocabulary:
            continue
        if word in lexicon.VAGUE_PLACES:
            wrong.append(f"the place {word!r} cannot be checked")
        elif word in lexicon.PLACES and not any(_lies(f, word) for f in facts.findings):
            wrong.append(f"the place {word!r} is not that of the cited finding")
    return wrong


def _lies(finding: Finding, word: str) -> bool:
    """Is the middle of the box in that half of the photo? Needs the photo's size from the mask."""
    if finding.mask is None:
        return False
    height, width = finding.mask.size
    axis, low, high = lexicon.PLACES[word]
    middle = (
        (finding.box.x1 + finding.box.x2) / (2 * width),
        (finding.box.y1 + finding.box.y2) / (2 * height),
    )[axis]
    return low <= middle <= high


def _attribute_values(text: str, facts: Facts) -> list[str]:
    """No other option than the one answered; yes stays yes; an abstained answer stays unknown."""
    wrong = []
    for result in facts.attributes:
        if result.abstained or result.value is None:
            if not lexicon.UNKNOWN.search(text):
                wrong.append(f"states {result.key!r}, which could not be determined")
        elif isinstance(result.value, bool):
            wrong += _polarity(text, result)
        elif isinstance(result.value, str):
            value = words.line(result.value).lower()
            if value not in text or _negated(text, text.index(value)):
                wrong.append(f"does not give the value of {result.key!r}")
    return wrong + _other_options(text, facts)


def _polarity(text: str, result: AttributeResult) -> list[str]:
    denies = bool(lexicon.NEGATION.search(text)) and not re.search(r"\byes\b", text)
    return [f"turns {result.key!r} round"] if denies == bool(result.value) else []


def _other_options(text: str, facts: Facts) -> list[str]:
    wrong = []
    for entry in facts.evidence.plan.characteristics:
        for option in entry.options:
            word = option.value.lower()
            if len(word) < 3 or set(_WORD.findall(word)) <= facts.vocabulary:
                continue
            match = re.search(rf"\b{re.escape(word)}\b", text)
            if match and not _negated(text, match.start()):
                wrong.append(f"says {word!r}, which is not the answer to {entry.key!r}")
    return wrong


def _novelty(text: str, facts: Facts) -> list[str]:
    long = [word for word in _WORD.findall(text) if len(word) > 3]
    known = facts.vocabulary | lexicon.PLAIN
    novel = [w for w in long if w not in known and _singular(w) not in known and not _checked(w)]
    if len(novel) > max(1.0, NOVEL_SHARE * len(long)):
        return [f"is not about the evidence: {', '.join(novel[:4])}"]
    return []


def _checked(word: str) -> bool:
    """Words that another check has already judged."""
    patterns = (*lexicon.DISPOSITIONS.values(), lexicon.GENERIC_DEFECT, lexicon.SOUND)
    return (
        word in lexicon.SEVERITIES
        or word in lexicon.PLACES
        or word in lexicon.NUMBER_WORDS
        or any(pattern.fullmatch(word) for pattern in (*patterns, lexicon.NEGATION))
    )


def _catalogue(facts: Facts) -> dict[str, list[str]]:
    """Names and synonyms of every defect type in the plan and among the findings."""
    plan = facts.evidence.plan
    keys = {d.key for d in plan.defects} | {f.type for f in facts.evidence.findings}
    return {key: _names(plan.defect(key), key) for key in sorted(keys)}


def _mentions(text: str, facts: Facts) -> list[tuple[re.Match[str], set[str]]]:
    """Where defect types are named, and which; "cross crack" is not also a "crack"."""
    found: dict[tuple[int, int], tuple[re.Match[str], set[str]]] = {}
    for key, names in _catalogue(facts).items():
        for name in names:
            for match in re.finditer(_pattern(name), text):
                found.setdefault(match.span(), (match, set()))[1].add(key)
    return [
        mention
        for (start, end), mention in sorted(found.items())
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in found)
    ]


def _pattern(name: str) -> str:
    """The name as a whole word, in singular or plural."""
    return rf"\b{re.escape(name.lower().strip())}(?:s|es)?\b"


def _within_attribute(name: str, facts: Facts) -> bool:
    """The word is part of an attribute's answer that the claim cites."""
    return any(name in str(a.value).lower() for a in facts.attributes if not a.abstained)


def _negated(text: str, position: int) -> bool:
    """Is there a negation within a few words before, in the same part of the sentence?"""
    clause = re.split(r"[.;:]|\bbut\b|\bhowever\b|\balthough\b", text[:position])[-1]
    near = " ".join(clause.split()[-_NEGATION_REACH:])
    return len(lexicon.NEGATION.findall(near)) % 2 == 1


def _allowed_numbers(facts: Facts) -> list[tuple[float, bool]]:
    """(number, is a share of one) pairs that the cited evidence contains."""
    numbers: list[tuple[float, bool]] = [(float(len(facts.evidence.findings)), False)]
    numbers += [(1.0, False)] if len(facts.findings) == 1 else []
    numbers += [(float(len(facts.findings)), False)] if facts.findings else []
    for finding in facts.findings:
        box = finding.box
        sides = (box.x1, box.y1, box.x2, box.y2, box.x2 - box.x1, box.y2 - box.y1)
        numbers += [(side, False) for side in (*sides, float(finding.area_px))]
        numbers += [(finding.confidence, True)]
        measured = (finding.area_mm2, finding.length_px, finding.length_mm)
        numbers += [(size, False) for size in measured if size is not None]
        numbers += [(finding.mask_confidence, True)] if finding.mask_confidence is not None else []
    for result in facts.attributes:
        numbers += [(result.confidence, True), (10.0, False)]
        if isinstance(result.value, int | float) and not isinstance(result.value, bool):
            numbers.append((float(result.value), False))
    if facts.triage:
        numbers += [(facts.evidence.triage.confidence, True)]
        numbers += [(float(facts.evidence.triage.priority), False)]
        kinds = {f.type for f in facts.evidence.findings}
        numbers += [
            (float(sum(f.type == kind for f in facts.evidence.findings)), False) for kind in kinds
        ]
    return numbers


def _same(value: float, number: tuple[float, bool], percent: bool) -> bool:
    """Equal as people round: whole or one decimal; a share may be written in per cent."""
    known, share = number
    if percent:
        return share and abs(value - 100.0 * known) <= 0.5
    if share:
        return abs(value - known) <= 0.005 + 1e-9
    return abs(value - known) <= (0.05 + 1e-9 if value != int(value) else 0.5)


def _without_quotes(text: str, facts: Facts) -> str:
    """Take out what is quoted from the evidence: reference, plan name, names, values, reasons."""
    plan = facts.evidence.plan
    quotes = [facts.evidence.reference, plan.name]
    quotes += [name for names in _catalogue(facts).values() for name in names]
    quotes += [str(a.value) for a in facts.attributes if isinstance(a.value, str)]
    quotes += [c.title for c in plan.characteristics if c.title]
    if facts.triage:
        quotes += facts.evidence.triage.reasons
    if facts.photo:
        quotes += facts.evidence.photo_warnings
    for quote in sorted((words.line(q).lower() for q in quotes), key=len, reverse=True):
        if quote:
            text = text.replace(quote, " ")
    return text


def _singular(word: str) -> str:
    for ending in ("es", "s"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word.removesuffix(ending)
            if stem in lexicon.DEFECT_WORDS or ending == "s":
                return stem
    return word
