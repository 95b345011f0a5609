"""Generated operators' notes: phrase patterns per level of concern over words of many trades.

Patterns and words are split apart before generation: a validation note is made only from patterns
and words that no training note was made from. Real notes come from elsewhere (``slm_notes``); these
carry the trades that the real ones lack (garments, walls, groceries, electronics).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


WORDS: dict[str, tuple[str, ...]] = {
    "object": _words(
        "panel|cell|jacket|shirt|zip|sleeve|collar|sole|handle|door|window frame|wall|ceiling|"
        "balcony|gutter|roof tile|beam|weld|bolt|housing|cover|lid|bottle|carton|label|package|"
        "screen|connector|cable|socket|pump|valve|pipe|hose|bearing|gear|belt|wheel|casting|"
        "circuit board|capacitor|lens|toy figure|cookie|apple|can|pallet|shelf|conveyor|"
        "road surface|kerb|manhole|quay wall|railing|stair|floor|lamp|battery|heater"
    ),
    "place": _words(
        "the left side|the right edge|the top corner|the bottom|the front|the back|the seam|"
        "the joint|the entrance|the middle|the inner side|the weld line|the lower third|"
        "the neck|the north wall|the second row|the mounting hole|the rim"
    ),
    "damage": _words(
        "cracked|broken|torn|dented|chipped|bent|rusted through|split|leaking|worn out|loose|"
        "deformed|punctured|corroded|shattered|frayed|delaminated|scratched deeply|snapped|"
        "mouldy|swollen|crushed|not working|jammed|coming off|stained"
    ),
    "defect": _words(
        "crack|hole|tear|dent|chip|deep scratch|leak|break|gap|blister|burn mark|pothole|"
        "missing screw|missing button|rust patch|water damage|cold joint|misprint|split seam|"
        "delamination|fracture|bulge"
    ),
    "harmless": _words(
        "dust|dirt|a fingerprint|a water drop|glue residue|a reflection|a shadow|lint|"
        "packing foam|chalk|pollen|a thread end|a smudge|flour|condensation|a pencil mark|"
        "mud|a sticker"
    ),
    "cleaning": _words(
        "wiped off|brushed away|rinsed off|blown off with air|cleaned up|polished out|"
        "removed with a cloth|washed off|vacuumed"
    ),
    "fix": _words(
        "replaced|tightened|repaired|adjusted|resealed|realigned|patched|lubricated|sewn back on|"
        "repainted|reconnected"
    ),
    "guard": _words(
        "safety guard|guard rail|emergency stop|fire door|smoke detector|seat belt|brake|"
        "handrail|pressure relief valve|fall arrest line|interlock|fire extinguisher|earth wire|"
        "child lock|escape route|steering"
    ),
    "gone": _words(
        "missing|removed|not working|broken off|disabled|bypassed|blocked|failed|"
        "out of order|bridged with wire"
    ),
    "peril": _words(
        "gas|smoke|fire|acid|fuel|live wires|sparks|toxic fumes|chlorine|hot steam|"
        "mains voltage|burning insulation|battery vapour|sewage|asbestos dust"
    ),
    "harm": _words(
        "someone could get hurt|a worker cut his hand|risk of electric shock|it may collapse|"
        "it can fall on people|a child could swallow it|danger of explosion|"
        "people walk right under it|a customer was injured|could catch fire"
    ),
    "routine": _words(
        "routine check|weekly inspection|annual service|incoming goods check|stock count|"
        "shift handover|sample inspection|calibration|scheduled maintenance|"
        "final inspection|return check"
    ),
    "source": _words(
        "line 2|the morning shift|supplier|warehouse|the customer|store 14|"
        "batch 7731|the second pallet|the tenant|room 12|order 5520|bay 3"
    ),
}

PATTERNS: dict[str, tuple[str, ...]] = {
    "settled": (
        "just {harmless}, {cleaning}",
        "only {harmless} on the {object}, {cleaning}",
        "not a defect, it is {harmless}",
        "{harmless} on {place}, gone after cleaning",
        "looked like a {defect} but was only {harmless}",
        "{object} {fix} and tested, good now",
        "{object} was {damage}, {fix} today, ok",
        "no {defect} found, {object} is fine",
        "checked again, no damage to the {object}",
        "already {fix}, works as it should",
        "false alarm, {object} in order",
        "all good, as new",
        "{object} looks perfect",
        "no issues with the {object}",
        "mark on {place} came off, {cleaning}",
        "nothing wrong here",
        "purely cosmetic, {harmless}",
        "the {defect} has been {fix}",
        "no leak, no crack, everything tight",
        "passed the test after it was {fix}",
    ),
    "routine": (
        "{routine}",
        "{routine} from {source}",
        "photo of the {object} from {source}",
        "{object}, {source}",
        "second photo of the same {object}",
        "{routine} of the {object}",
        "new delivery, {source}",
        "please check the {object}",
        "view from {place}",
        "{object} before shipping to {source}",
        "replace {object} at next {routine}",
        "returned by {source}",
        "serial number on {place}",
        "taken with flash, {object} at {source}",
        "change {object}",
        "colour variant of the {object}",
        "inspect {object} at {source}",
        "order the {object} for {source}",
    ),
    "defect": (
        "{object} is {damage}",
        "{object} {damage} on {place}",
        "there is a {defect} near {place}",
        "{defect} in the {object}",
        "{object} {damage}",
        "a {defect} along {place}, getting longer",
        "customer complains about a {defect}",
        "the {object} came {damage} from {source}",
        "found {defect} and {object} {damage}",
        "{damage} {object}, needs repair",
        "two of them are {damage}",
        "{object} does not close, {damage}",
        "{place} is {damage}",
        "can feel a {defect} with the finger",
        "the {object} has a {defect}",
        "same {defect} as last week",
        "not just {harmless}, it is {damage}",
        "{fix} last month and {damage} again",
        "could not be {fix}, still {damage}",
        "does not come off, it is a {defect}",
    ),
    "danger": (
        "{guard} {gone}",
        "{guard} is {gone}, {object} leaking",
        "{guard} {gone}, {harm}",
        "smell of {peril} near the {object}",
        "{peril} coming out of the {object}",
        "{object} {damage}, {harm}",
        "{harm}",
        "exposed {peril} at {place}",
        "stop using the {object}, {harm}",
        "{object} {damage} and {guard} {gone}",
        "leak of {peril} at {place}",
        "unsafe, {guard} {gone}",
        "{peril} next to the {object}, evacuated",
        "{object} about to fall, {harm}",
        "cordoned off {place} because of {peril}",
        "{guard} was {gone} when we arrived",
        "do not switch on, {peril}",
        "sharp edge on the {object}, {harm}",
    ),
}

_SLOT = re.compile(r"\{(\w+)\}")


def generate(count: int, held_out: bool, seed: int) -> list[tuple[str, str]]:
    """``count`` (note, concern) pairs, equally many of each level; deterministic in the seed."""
    # Made-up text for training, not a secret: the plain generator is the right one.
    rng = random.Random(seed)  # noqa: S311
    levels = tuple(PATTERNS)
    pairs = []
    for n in range(count):
        level = levels[n % len(levels)]
        pattern = rng.choice(_part(PATTERNS[level], held_out))
        pairs.append((_write(pattern, held_out, rng), level))
    return pairs


def _write(pattern: str, held_out: bool, rng: random.Random) -> str:
    text = _SLOT.sub(lambda slot: rng.choice(_part(WORDS[slot[1]], held_out)), pattern)
    style = rng.random()
    if style < 0.15:
        return text.upper()
    if style < 0.5:
        return text[:1].upper() + text[1:] + rng.choice((".", "", "!", "."))
    return text


def _part(items: Sequence[str], held_out: bool) -> Sequence[str]:
    """Every fourth item is kept for validation."""
    return [item for n, item in enumerate(items) if (n % 4 == 3) == held_out]
