"""Words that carry a checkable meaning in a report: negation, defects, verdicts, places, counts."""

from __future__ import annotations

import re

from models_runtime.contracts import Disposition
from models_runtime.plans import Severity


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DISPOSITIONS: dict[Disposition, re.Pattern[str]] = {
    Disposition.ACCEPT: re.compile(
        r"\b(accept(?:ed|able|s|ance)?|pass(?:ed|es)?|releas(?:e|ed)|approv(?:e|ed|al)|"
        r"fit for (?:use|purpose|sale)|good to go|ship(?:ped|pable)?|conform(?:s|ing)|"
        r"ready for (?:use|sale|shipment|delivery))\b"
    ),
    Disposition.REWORK: re.compile(
        r"\b(rework(?:ed|ing)?|repair(?:ed|s)?|fixed|mended|refurbish\w*)\b"
    ),
    Disposition.REJECT: re.compile(
        r"\b(reject(?:ed|s|ion)?|scrap(?:ped)?|discard(?:ed)?|dispos(?:e|ed) of|fail(?:ed|s)?|"
        r"nonconforming|non-conforming|write[- ]off)\b"
    ),
    Disposition.HOLD: re.compile(r"\b(on hold|hold|held|quarantin\w*)\b"),
}

SEVERITIES: dict[str, frozenset[Severity]] = {
    "minor": frozenset({Severity.MINOR}),
    "major": frozenset({Severity.MAJOR}),
    "critical": frozenset({Severity.CRITICAL}),
    "cosmetic": frozenset({Severity.MINOR}),
    "negligible": frozenset({Severity.MINOR}),
    "trivial": frozenset({Severity.MINOR}),
    "harmless": frozenset({Severity.MINOR}),
    "slight": frozenset({Severity.MINOR}),
    "insignificant": frozenset({Severity.MINOR}),
    "significant": frozenset({Severity.MAJOR, Severity.CRITICAL}),
    "serious": frozenset({Severity.MAJOR, Severity.CRITICAL}),
    "severe": frozenset({Severity.MAJOR, Severity.CRITICAL}),
    "dangerous": frozenset({Severity.CRITICAL}),
    "catastrophic": frozenset({Severity.CRITICAL}),
    "unsafe": frozenset({Severity.CRITICAL}),
}

DEFECT_WORDS: frozenset[str] = _words(
    "abrasion bend bent blister break breakage broken bruise bulge bump burn burnt chip chipped "
    "contamination corroded corrosion crack cracked crease crushed cut damage damaged dead dent "
    "dented deformation deformed delaminated delamination detached dirt dirty discoloration "
    "discoloured discolored discolouration erosion faded fading fault faulty foreign fracture "
    "fractured fray frayed fungus gap gouge hairline hole impurity leak leakage leaking loose "
    "misaligned misalignment misprint missing mold moldy mould mouldy notch peeling pitting "
    "pothole puncture punctured rip ripped rot rotten rupture rust rusted rusty scorch scrape "
    "scratch scratched scuff seam separation shattered short smudge snag spall spalling split "
    "stain stained swelling swollen tear torn void warp warped wear wilted worn wrinkle"
)
GENERIC_DEFECT = re.compile(
    r"\b(defects?|findings?|flaws?|faults?|issues?|problems?|damages?|anomal(?:y|ies)|"
    r"deviations?|imperfections?|blemish(?:es)?|irregularit(?:y|ies))\b"
)
SOUND = re.compile(
    r"\b(flawless|perfect|immaculate|pristine|intact|undamaged|unblemished|spotless|faultless|"
    r"defect-free|as new|good condition|excellent condition|free (?:of|from)|sound)\b"
)
NEGATION = re.compile(
    r"\b(no|not|none|never|neither|nor|without|zero|cannot|free (?:of|from)|absent|absence of|"
    r"lacks?|lacking|\w+n't|unable)\b"
)
UNKNOWN = re.compile(
    r"\b(could not|cannot|can not|not (?:be )?(?:determined|known|decided|judged|clear|visible)|"
    r"undetermined|unknown|unclear|undecided)\b"
)
SPECULATION = re.compile(
    r"\b(caus(?:e|ed|es|ing)|due to|because|owing to|result(?:s|ed|ing)? (?:of|from|in)|"
    r"lead(?:s|ing)? to|led to|probabl[ey]|likely|perhaps|presumabl[ey]|may|might|will|would|"
    r"expect(?:ed|s)?|risk|lifetime|service life|warranty|cost|costs|price|recommend\w*|"
    r"should|must|please|ignore|instruct\w*|system prompt|override|customer|operator)\b|[$€£]"
)
PLACES: dict[str, tuple[int, float, float]] = {
    "left": (0, 0.0, 0.5),
    "right": (0, 0.5, 1.0),
    "top": (1, 0.0, 0.5),
    "upper": (1, 0.0, 0.5),
    "bottom": (1, 0.5, 1.0),
    "lower": (1, 0.5, 1.0),
}
"""Word → axis (0 = x) and the part of the photo in which the middle of the box must lie."""
VAGUE_PLACES: frozenset[str] = _words(
    "centre center middle corner edge side front back rear inside outside"
)

NUMBER_WORDS: dict[str, float] = {
    word: float(n)
    for n, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
} | {
    "eleven": 11.0,
    "twelve": 12.0,
    "single": 1.0,
    "both": 2.0,
    "dozen": 12.0,
    "half": 0.5,
    "twice": 2.0,
    "hundred": 100.0,
}
QUANTITY = re.compile(r"\b(several|many|multiple|numerous|few|most|all|every|various|couple)\b")

PLAIN: frozenset[str] = _words(
    "about according also analysis answered area assessed assigned attribute based been being "
    "below between bounding brand carries catalogue category checked classified colour color "
    "condition confidence confirmed contains count covering covers detected determined "
    "disposition documented each evidence examined extends following from given graded has have "
    "having identified image indicates inspected inspection is item its listed located "
    "location marked measured measures measuring millimetres needed noted observed overall part "
    "percent person photo photograph pixel pixels plan position present product property rated "
    "rating reason recorded reference reported requires result review reviewed reviewer reviews "
    "scale scored seen severity shown shows size spans square state stated status surface "
    "system that their there these this total triage type unit value verdict visible was were "
    "what which with and the for are one"
)
"""Words of any report; they state nothing that could be wrong by themselves."""
