"""The words the extractor learned, by domain: what a photo may show and what may be wrong with it.

Training draws phrasings from here; the engine uses the same lists to tell whether a plan talks
about what a photo shows. Canonical words come first, then other ways to say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Phrases = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """One kind of photo. ``labels``: question → answer → phrases; ``defects``: type → phrases."""

    name: str
    plain: str
    captions: Phrases
    labels: dict[str, dict[str, Phrases]] = field(default_factory=dict)
    defects: dict[str, Phrases] = field(default_factory=dict)


GARMENTS: dict[str, Phrases] = {
    "T-Shirt": ("T-Shirt", "tee", "short-sleeved t-shirt", "tshirt", "t-shirt with short sleeves"),
    "Longsleeve": ("Longsleeve", "long sleeve", "long-sleeved top", "sweater", "pullover",
                   "jumper or long-sleeved shirt without buttons", "long sleeve shirt"),
    "Pants": ("Pants", "trousers", "jeans", "long pants", "leggings", "slacks"),
    "Shoes": ("Shoes", "footwear", "sneakers", "boots", "a pair of shoes", "shoe"),
    "Shirt": ("Shirt", "button-up shirt", "collared shirt", "dress shirt with buttons"),
    "Dress": ("Dress", "gown", "a woman's dress", "one-piece dress", "frock"),
    "Outwear": ("Outwear", "outerwear", "jacket", "coat", "winter jacket", "parka", "overcoat"),
    "Shorts": ("Shorts", "short pants", "short trousers", "bermudas"),
    "Hat": ("Hat", "cap", "beanie", "headwear", "woolly hat", "baseball cap"),
    "Skirt": ("Skirt", "a skirt", "mini skirt", "knee-length skirt"),
    "Polo": ("Polo", "polo shirt", "short-sleeved shirt with a collar"),
    "Undershirt": ("Undershirt", "tank top", "sleeveless undershirt", "vest", "singlet"),
    "Blazer": ("Blazer", "suit jacket", "sports jacket", "formal jacket"),
    "Hoodie": ("Hoodie", "hooded sweatshirt", "sweatshirt with a hood", "hoody"),
    "Body": ("Body", "bodysuit", "baby body", "onesie", "romper"),
    "Top": ("Top", "crop top", "women's sleeveless top", "camisole"),
    "Blouse": ("Blouse", "women's blouse", "light women's shirt"),
}  # fmt: skip

KIDS: dict[str, Phrases] = {
    "kids": ("for kids", "kids", "children's clothing", "child", "for children", "kids' clothing"),
    "adults": ("for adults", "adults", "adult clothing", "adult", "for grown-ups"),
}

GROCERY_GROUPS: dict[str, Phrases] = {
    "Packages": ("Packages", "packaged food", "carton or package", "packed drinks and dairy"),
    "Fruit": ("Fruit", "fresh fruit", "fruits", "loose fruit"),
    "Vegetables": ("Vegetables", "fresh vegetables", "vegetable", "greens"),
}

SOUND: Phrases = (
    "sound", "normal", "no defect", "intact", "good", "ok", "undamaged", "flawless",
    "without defects", "as new", "pass",
)  # fmt: skip
DEFECTIVE: Phrases = (
    "defective", "anomaly", "damaged", "defect", "faulty", "not ok", "broken", "has a defect",
    "anomalous", "abnormal", "fail", "bad",
)  # fmt: skip
ANY_DEFECT: Phrases = (
    "defect", "damage", "anomaly", "any defect", "flaw", "fault", "something is wrong here",
    "damaged area", "abnormal region", "defective area",
)  # fmt: skip

CRACK: Phrases = (
    "crack", "cracks", "crack line", "fracture", "fissure", "hairline crack", "split",
    "crack: a thin dark jagged line", "a thin line where the material has broken apart",
    "cracked", "micro crack",
)  # fmt: skip
STAIN: Phrases = (
    "stain", "spot", "dirty spot", "discolouration", "soiling", "blotch", "stained area",
    "stain: a coloured mark that does not belong there", "discoloration", "smudge", "water stain",
)  # fmt: skip
HOLE: Phrases = (
    "hole", "puncture", "a hole through the material", "missing material", "perforation",
    "hole: an opening where material is missing", "moth hole", "gap",
)  # fmt: skip
TEAR: Phrases = (
    "tear",
    "rip",
    "torn fabric",
    "ripped seam",
    "tear: the cloth is ripped open",
    "torn",
)
SCRATCH: Phrases = (
    "scratch", "scratches", "scrape", "scratched surface", "thin straight mark on the surface",
    "scratch: a shallow line in the surface", "scuff",
)  # fmt: skip
DENT: Phrases = (
    "dent",
    "dented",
    "bump",
    "pressed-in spot",
    "deformation",
    "dent: the surface is pressed in",
)
MISPRINT: Phrases = (
    "misprint",
    "printing error",
    "blurred print",
    "colour misregistration",
    "smeared print",
)
SPALL: Phrases = (
    "hole", "spalling", "broken-out spot", "pothole", "chipped surface", "missing material",
    "spalling: a piece has broken out of the surface",
)  # fmt: skip

DOMAINS: tuple[Domain, ...] = (
    Domain(
        "garment",
        "clothing",
        (
            "a photo of a garment", "clothing", "clothes", "garment for resale", "apparel",
            "a piece of clothing laid out flat", "fashion item", "garments", "second-hand clothes",
        ),
        {"category": GARMENTS, "age": KIDS},
        {"stain": STAIN, "hole": HOLE, "tear": TEAR},
    ),
    Domain(
        "grocery",
        "groceries in a shop",
        (
            "groceries in a shop", "food in a supermarket", "fruit, vegetables or packaged food",
            "grocery product", "food item on a shelf", "groceries", "packaging of food",
        ),
        {"group": GROCERY_GROUPS},
        {"scratch": SCRATCH, "dent": DENT, "misprint": MISPRINT},
    ),
    Domain(
        "solar",
        "electroluminescence photos of solar cells",
        (
            "electroluminescence image of a solar cell", "solar cell", "photovoltaic cell",
            "solar cells", "EL image of a PV module", "solar panel inspection", "silicon wafer",
            "photovoltaics", "solar module",
        ),
        {},
        {
            "crack": (*CRACK, "crack in the silicon", "dark line across the cell", "cell crack"),
            "cross": (
                "cross", "cross mark", "cross-shaped defect", "small dark cross", "x-shaped crack",
                "cross: small dark spot where two cracks cross", "star crack", "dark point",
                "cross crack", "impact point",
            ),
            "dark": (
                "dark area", "dark", "inactive area", "inactive dark region", "dead area",
                "dark region", "inactive", "electrically inactive part of the cell",
                "dark area: part of the cell that gives no light", "disconnected area",
                "finger interruption", "inactive region",
            ),
        },
    ),
    Domain(
        "road",
        "road surfaces",
        (
            "a photo of a road", "road surface", "asphalt pavement", "street", "road inspection",
            "pavement condition", "highway seen from a car", "roads", "asphalt",
        ),
        {},
        {
            "crack": (*CRACK, "crack in the asphalt", "pavement crack", "road crack"),
            "pothole": (
                "pothole", "potholes", "hole in the road", "broken-out asphalt", "road pit",
                "pothole: a hole where asphalt has broken out", "patch of broken pavement",
            ),
        },
    ),
    Domain(
        "wall",
        "walls and concrete",
        (
            "a photo of a wall", "concrete surface", "quay wall", "building wall", "masonry",
            "plaster wall", "facade", "concrete", "walls", "brick wall", "concrete structure",
        ),
        {},
        {
            "crack": (*CRACK, "crack in the concrete", "wall crack", "structural crack"),
            "stain": STAIN,
            "hole": SPALL,
        },
    ),
    Domain(
        "cookie",
        "cookies",
        (
            "a photo of a cookie", "cookie", "chocolate chip cookie", "biscuit", "baked goods",
            "cookies", "bakery product",
        ),
        {},
        {
            "broken": (
                "broken", "broken cookie", "broken-off piece", "missing piece", "bite", "anomaly",
                "broken: a piece of the cookie is missing", "breakage", "broken edge", "chipped",
                "crumbled",
            ),
        },
    ),
    Domain(
        "toy",
        "plastic toy figures",
        (
            "a photo of a toy figure", "plastic toy", "toy", "rubber figure", "action figure",
            "toys", "green toy alien",
        ),
        {},
        {
            "missing part": (
                "missing part", "broken part", "missing limb", "broken off arm or leg", "anomaly",
                "missing head, arm or leg", "cut off limb", "incomplete figure", "broken",
            ),
        },
    ),
    Domain(
        "nuclei",
        "microscope images of cells",
        (
            "microscope image of cell nuclei", "microscopy", "cells under a microscope",
            "cell nuclei", "fluorescence microscopy", "histology slide", "tissue section",
        ),
    ),
    Domain(
        "station",
        "laboratory work stations",
        (
            "a laboratory work station", "robot arm in a laboratory", "test tubes in a rack",
            "lab automation", "laboratory bench with a robot", "material station",
        ),
    ),
)  # fmt: skip

UNKNOWN: Phrases = (
    "a picture of nothing known", "random noise", "a screenshot", "an abstract pattern",
    "something else",
)  # fmt: skip
"""Captions of what the model is taught not to know."""

DOMAIN_NAMES: tuple[str, ...] = tuple(domain.name for domain in DOMAINS)


def domain(name: str) -> Domain:
    """Return a domain by name; KeyError where there is none."""
    return DOMAINS[DOMAIN_NAMES.index(name)]
