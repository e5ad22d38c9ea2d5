"""What the report and the gallery are given."""

import math

from .bench import Bench, Case, picture

GOOD = picture()


def report(**given):
    return lambda b: b.node("LDU_ProtectionReport", **{"original": GOOD, "protected": GOOD, **given})


def gallery(**given):
    return lambda b: b.node("LDU_ThiefsGallery", **{"image": GOOD, **given})


def losses(b: Bench):
    return b.host.module("ldu.evidence.record").Losses(0.1, 0.2, 0.1, (0.05, 0.1))


EVIDENCE = [
    Case("Protection Report", "two originals for one protected", "give pairs", report(original=picture(count=2))),
    Case("Protection Report", "pictures of two sizes", "one size", report(protected=picture(64, 64))),
    Case("Protection Report", "a file outside", "outside the output folder", report(file=["../../x.png"])),
    Case("Protection Report", "a file that is gone", "no picture file", report(file=["gone.png"])),
    Case("Protection Report", "a file of 260 letters", "no picture file", report(file=["x" * 260])),
    Case("Protection Report", "two files for one picture", "one for each", report(file=["a.png", "b.png"])),
    Case(
        "Protection Report", "names of purifiers without losses", "from the same Purify", report(purifier=["jpeg 75"])
    ),
    Case("Protection Report", "a budget that is no number", "0 to 255", report(budget=math.nan)),
    Case("Protection Report", "a strength that is no number", "infinite or none", report(strength=math.nan)),
    Case("Protection Report", "a prefix that leads out", "out of the output folder", report(filename_prefix="../x")),
    Case("Protection Report", "a prefix that is a folder", "a name after it", report(filename_prefix="x/")),
    Case("Thief's Gallery", "two names for one picture", "2 names for 1", gallery(name=["a", "b"])),
    Case("Thief's Gallery", "two clean columns", "two columns", gallery(name=["clean"], clean=GOOD)),
    Case(
        "Thief's Gallery",
        "an identity network without a person",
        "connect photographs",
        gallery(identity="demo portraits"),
    ),
    Case(
        "Thief's Gallery",
        "an identity network that is not installed",
        "insightface",
        gallery(identity="insightface", person=GOOD),
    ),
    Case(
        "Thief's Gallery", "two losses for one column", "2 losses for 1", lambda b: gallery(losses=[losses(b)] * 2)(b)
    ),
    Case("Thief's Gallery", "a similarity that is no number", "from -1 to 1", gallery(similarity=[math.nan])),
    Case("Thief's Gallery", "two similarities for one column", "2 similarities for 1", gallery(similarity=[0.5, 0.6])),
]
