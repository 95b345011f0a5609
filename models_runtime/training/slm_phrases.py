"""Generated operators' notes: phrase patterns per level of concern over words of many trades.

Patterns and words are split apart before generation: a note for validation (and one for
calibration) is made only from patterns and words that no training note was made from. Real notes
come from elsewhere (``slm_notes``); these carry the trades that the real ones lack (garments,
walls, groceries, electronics).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from enum import Enum


class Part(Enum):
    """What a generated note is for; the parts share neither patterns nor words."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    VALIDATE = "validate"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


WORDS: dict[str, tuple[str, ...]] = {
    "object": _words(
        "panel|cell|jacket|shirt|zip|sleeve|collar|sole|handle|door|window frame|wall|ceiling|"
        "balcony|gutter|roof tile|beam|weld|bolt|housing|cover|lid|bottle|carton|label|package|"
        "screen|connector|cable|socket|pump|valve|pipe|hose|bearing|gear|belt|wheel|casting|"
        "circuit board|capacitor|lens|toy figure|cookie|apple|can|pallet|shelf|conveyor|"
        "road surface|kerb|manhole|quay wall|railing|stair|floor|lamp|battery|heater"
        "|window|tile|gasket|engine|motor|fan|filter|hinge|lock|drawer|chair|table|cup"
        "|bowl|jar|bag|backpack|shoe|trouser leg|dress|hat|glove|seam|button|lining|phone"
        "|laptop|keyboard|charger|printer|radiator|chimney|facade|fence|gate|tree"
        "|bridge deck|column|step|drain|tank|boiler|switch|fuse box|antenna|solar module"
        "|inverter|junction box|blade|rotor|shaft|spring|clamp|nozzle|tyre|windscreen"
        "|mirror|headlight|bumper|seat|helmet|bread|banana|milk bottle|egg box|cheese"
        "|tablet|syringe|implant|wafer|chip package|display|speaker|toy car|doll|book|box"
        "|crate|drum|sack"
    ),
    "place": _words(
        "the left side|the right edge|the top corner|the bottom|the front|the back|the seam|"
        "the joint|the entrance|the middle|the inner side|the weld line|the lower third|"
        "the neck|the north wall|the second row|the mounting hole|the rim"
        "|the underside|the upper third|both ends|the thread|the surface|the coating"
        "|the inside|the corner near the door|the south facade|the tip|the base"
        "|the neckline|the cuff|the hem|one side|the centre line|the end of the row"
        "|the back wall"
    ),
    "damage": _words(
        "cracked|broken|torn|dented|chipped|bent|rusted through|split|leaking|worn out|loose|"
        "deformed|punctured|corroded|shattered|frayed|delaminated|scratched deeply|snapped|"
        "mouldy|swollen|crushed|not working|jammed|coming off|stained"
        "|ripped|faded|warped|discoloured|clogged|burnt|melted|peeling|flaking|damp|rotten"
        "|unstable|wobbly|squeaking|overheating|short of parts|out of tolerance|too thin"
        "|misaligned|crooked|unreadable|dead|blown|seized|perforated|expired|bruised|leaky"
        "|pitted|eroded"
    ),
    "defect": _words(
        "crack|hole|tear|dent|chip|deep scratch|leak|break|gap|blister|burn mark|pothole|"
        "missing screw|missing button|rust patch|water damage|cold joint|misprint|split seam|"
        "delamination|fracture|bulge"
        "|split|scrape|cut|puncture|stain|wet patch|mould spot|loose thread|broken tooth"
        "|foreign body|void|wrinkle|fold|dark area|hot spot|wrong part|missing label"
        "|broken seal|spalling|corrosion spot|bubble|run in the paint|pulled thread"
        "|worn patch"
    ),
    "harmless": _words(
        "dust|dirt|a fingerprint|a water drop|glue residue|a reflection|a shadow|lint|"
        "packing foam|chalk|pollen|a thread end|a smudge|flour|condensation|a pencil mark|"
        "mud|a sticker"
        "|sand|some flour|a bit of grease|rain drops|snow|soap|wax|an old price tag"
        "|a shadow of the lamp|packing tape|cat hair|powder|steam on the lens|a pen line"
        "|sawdust|a leaf|pollen dust|cream"
    ),
    "cleaning": _words(
        "wiped off|brushed away|rinsed off|blown off with air|cleaned up|polished out|"
        "removed with a cloth|washed off|vacuumed"
        "|dried with a towel|gone after a wash|picked off|shaken out|swept away"
        "|came off with water|peeled off|hosed down|dusted off"
    ),
    "fix": _words(
        "replaced|tightened|repaired|adjusted|resealed|realigned|patched|lubricated|sewn back on|"
        "repainted|reconnected"
        "|mended|glued|welded|exchanged|soldered|rewired|refilled|straightened|sealed"
        "|swapped|reset|restored|cleaned and refitted|retightened|rebuilt"
    ),
    "guard": _words(
        "safety guard|guard rail|emergency stop|fire door|smoke detector|seat belt|brake|"
        "handrail|pressure relief valve|fall arrest line|interlock|fire extinguisher|earth wire|"
        "child lock|escape route|steering"
        "|guard|machine cover|light curtain|two hand control|safety valve|safety net"
        "|scaffold plank|balcony railing|lifeline|fuse|residual current device|hand brake"
        "|parking brake|airbag|window lock|gas alarm|fire alarm|sprinkler|warning light"
        "|crane hook latch|ladder rung|manhole cover|tamper seal|eye wash station"
        "|pressure gauge"
    ),
    "gone": _words(
        "missing|removed|not working|broken off|disabled|bypassed|blocked|failed|"
        "out of order|bridged with wire"
        "|not there|taken off|defeated|jammed open|hanging loose|cut through"
        "|not responding|dead|painted shut|stolen|torn off|tied back"
    ),
    "peril": _words(
        "gas|smoke|fire|acid|fuel|live wires|sparks|toxic fumes|chlorine|hot steam|"
        "mains voltage|burning insulation|battery vapour|sewage|asbestos dust"
        "|natural gas|hydraulic oil on the walkway|carbon monoxide|petrol|solvent|ammonia"
        "|thick smoke|flames|bare wire|high voltage|broken glass in the food|hot oil"
        "|an oxygen leak|radiation|molten metal|chemical"
    ),
    "harm": _words(
        "someone could get hurt|a worker cut his hand|risk of electric shock|it may collapse|"
        "it can fall on people|a child could swallow it|danger of explosion|"
        "people walk right under it|a customer was injured|could catch fire"
        "|one person is in hospital|somebody slipped and fell|a colleague burned her arm"
        "|people could be hit|a child nearly fell|it almost hit a worker"
        "|two people feel dizzy|I got a shock|there could be an explosion"
        "|the whole wall may come down|fingers can get caught|it could injure the driver"
        "|passers-by are in danger|could poison someone|it can tip over on someone"
    ),
    "routine": _words(
        "routine check|weekly inspection|annual service|incoming goods check|stock count|"
        "shift handover|sample inspection|calibration|scheduled maintenance|"
        "final inspection|return check"
        "|first article|daily round|move-in inspection|move-out inspection"
        "|receiving inspection|audit sample|monthly report|random sample|documentation"
        "|stocktaking|quarterly visit|oil change|filter change|handover|listing for sale"
    ),
    "source": _words(
        "line 2|the morning shift|supplier|warehouse|the customer|store 14|"
        "batch 7731|the second pallet|the tenant|room 12|order 5520|bay 3"
        "|flat 3|building B|lot 42|truck 9|the second shift|station 5|the north yard"
        "|customer return|the showroom|platform 2|Mr. Jansen|the buyer|line 7|cabinet 4"
        "|the upper floor|container 11"
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
        "it was {harmless} only",
        "{harmless}, that's all",
        "turned out to be {harmless}",
        "no {defect}, just {harmless}",
        "{cleaning}, nothing left to see",
        "I {cleaning} it and it is fine",
        "the {object} is good as it is",
        "{object} ok",
        "no damage",
        "nothing to complain about",
        "everything in order with the {object}",
        "meant to be like that, part of the design",
        "this is how the {object} is made",
        "normal pattern of the {object}",
        "{object} {fix}, tested, no {defect}",
        "has been {fix} this morning",
        "we {fix} it already",
        "no fault found after test",
        "works fine again",
        "problem solved",
        "the {object} is not {damage}, I checked",
        "not {damage}, only {harmless}",
        "spot was {harmless}, gone",
        "can be ignored, {harmless}",
        "{fix} and leak check good",
        "removed and {fix}, ops check ok",
        "done, {object} back in use",
        "no sign of a {defect}",
        "{object} clean and complete",
        "only the light, no {defect}",
        "we looked twice, no problem",
        "in great shape",
        "undamaged on arrival",
        "the customer is happy with it",
        "closed, {object} {fix}",
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
        "front view",
        "close-up of {place}",
        "{object} number 12",
        "size M, blue",
        "black, second hand",
        "arrived today from {source}",
        "for {source}",
        "as ordered by {source}",
        "{routine} at {source}",
        "{routine} done by {source}",
        "picture 3 of 5",
        "same unit as before",
        "for the record",
        "please list this {object}",
        "next {routine} in May",
        "lubricate the {object} at the next {routine}",
        "swap {object} when convenient",
        "fit new {object}",
        "install {object} at {source}",
        "repaint {object} next year",
        "measure the {object}",
        "weight 12 kg",
        "label on {place}",
        "{object} and {object}, {source}",
        "ready for pickup at {source}",
        "order number on {place}",
        "taken outside in the rain",
        "old model of the {object}",
        "please compare with the first photo",
        "{object} of {source} before {routine}",
        "two more to come",
        "clean the {object}",
        "checked in at {source}",
        "top up oil",
        "delivery of {object} to {source}",
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
        "{object} looks {damage}",
        "it is {damage}",
        "{damage} again",
        "{damage} at {place}",
        "both sides {damage}",
        "the {object} is {damage} and has a {defect}",
        "came back {damage}",
        "{defect} on {place}",
        "small {defect}",
        "large {defect} on the {object}",
        "two {defect} spots on {place}",
        "I see a {defect}",
        "noticed a {defect} this morning",
        "{defect} after the storm",
        "{defect} where it was {fix}",
        "the {object} stopped working",
        "does not switch on",
        "does not fit, {damage}",
        "makes a strange noise",
        "water comes in at {place}",
        "drips at {place}",
        "piece is missing at {place}",
        "part of the {object} is gone",
        "returned because {damage}",
        "customer sent it back, {defect}",
        "the {object} falls apart",
        "looks worse than last month",
        "{object} needs to be {fix}",
        "please have the {object} {fix}, {defect}",
        "cannot be closed any more",
        "colour comes off at {place}",
        "{object} will not start",
        "{damage} beyond repair",
        "insects in the {object}",
        "smells bad, {damage}",
        "{fix} badly, {defect} still there",
        "no longer tight at {place}",
        "not ok, {defect}",
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
        "{guard} {gone} at {source}",
        "the {guard} is {gone}",
        "{guard} {gone}, do not use",
        "no {guard} on the {object}",
        "{object} without {guard}",
        "{peril}",
        "{peril} at the {object}",
        "we smell {peril}",
        "{peril} escaping",
        "{peril} reported by {source}",
        "{object} {damage}, {peril}",
        "careful, {peril}",
        "{harm}, {object} {damage}",
        "{harm} at {source}",
        "because of the {defect} {harm}",
        "accident at {source}, {harm}",
        "urgent, {harm}",
        "keep away, {peril}",
        "area closed, {peril}",
        "emergency, {object} {damage}",
        "immediate stop, {guard} {gone}",
        "evacuate {source}",
        "called the fire brigade, {peril}",
        "risk of injury at {place}",
        "danger to life",
        "{object} could fall on somebody",
        "hangs over the pavement and may fall",
        "sharp splinters where hands go",
        "the {guard} does not hold",
        "the {guard} failed and {harm}",
        "machine runs with {guard} {gone}",
        "{object} is live, {peril}",
        "someone was hurt by the {object}",
        "children can reach the {peril}",
        "overloaded, may collapse",
        "choking hazard, {object} {damage}",
    ),
}

_SLOT = re.compile(r"\{(\w+)\}")


def generate(count: int, part: Part, seed: int) -> list[tuple[str, str]]:
    """``count`` (note, concern) pairs, equally many of each level; deterministic in the seed."""
    # Made-up text for training, not a secret: the plain generator is the right one.
    rng = random.Random(seed)  # noqa: S311
    levels = tuple(PATTERNS)
    pairs = []
    for n in range(count):
        level = levels[n % len(levels)]
        pattern = rng.choice(_part(PATTERNS[level], part))
        pairs.append((_write(pattern, part, rng), level))
    return pairs


def _write(pattern: str, part: Part, rng: random.Random) -> str:
    text = _SLOT.sub(lambda slot: rng.choice(_part(WORDS[slot[1]], part)), pattern)
    style = rng.random()
    if style < 0.15:
        return text.upper()
    if style < 0.5:
        return text[:1].upper() + text[1:] + rng.choice((".", "", "!", "."))
    return text


def _part(items: Sequence[str], part: Part) -> Sequence[str]:
    """Of five items three are for training, one for calibration and one for validation."""
    wanted = {Part.TRAIN: (0, 1, 3), Part.CALIBRATE: (2,), Part.VALIDATE: (4,)}[part]
    return [item for n, item in enumerate(items) if n % 5 in wanted]
