"""Pictures, masks, sizes and budgets."""

import math

import torch

from .bench import Case, picture

GOOD = picture()


def resize(**given):
    return lambda b: b.node("LDU_WorkingSize", **{"image": GOOD, "short_side": 64, **given})


def fit(**given):
    whole = {"original": GOOD, "clean": GOOD, "protected": GOOD, **given}
    return lambda b: b.node("LDU_FitToBudget", **whole)


def compare(**given):
    return lambda b: b.node("LDU_Compare", **{"original": GOOD, "protected": GOOD, **given})


def spoilt(value: float) -> torch.Tensor:
    return torch.full((1, 64, 72, 3), value)


PICTURES = [
    Case("Resize to Working Size", "neither model nor length", "connect a MODEL", resize(short_side=0)),
    Case("Resize to Working Size", "a short side of 8", "at least 64", resize(short_side=8)),
    Case("Resize to Working Size", "a strip of 4000 x 10", "too narrow", resize(image=picture(10, 4000))),
    Case("Resize to Working Size", "a grey picture", "convert it to RGB", resize(image=picture(colours=1))),
    Case("Resize to Working Size", "a picture with alpha", "convert it to RGB", resize(image=picture(colours=4))),
    Case("Resize to Working Size", "one pixel", "at least 8 x 8", resize(image=picture(1, 1))),
    Case("Resize to Working Size", "no picture at all", "one or more", resize(image=picture(count=0))),
    Case("Resize to Working Size", "values that are no numbers", "infinite or not", resize(image=spoilt(math.nan))),
    Case("Resize to Working Size", "values up to 255", "divide by 255", resize(image=spoilt(255.0))),
    Case("Resize to Working Size", "whole numbers", "divide by 255", resize(image=spoilt(255.0).byte())),
    Case("Resize to Working Size", "a mask for a picture", "RGB pictures", resize(image=torch.ones(1, 64, 64))),
    Case("Fit to Budget", "infinite values", "infinite or not", fit(original=spoilt(math.inf))),
    Case("Fit to Budget", "decodes of two sizes", "one shape", fit(clean=picture(32, 32))),
    Case(
        "Fit to Budget",
        "two decodes for one picture",
        "one entry for each",
        fit(clean=picture(count=2), protected=picture(count=2)),
    ),
    Case("Fit to Budget", "a budget of 300", "0 to 255", fit(budget=300.0)),
    Case("Fit to Budget", "a budget below 0", "0 to 255", fit(budget=-1.0)),
    Case("Fit to Budget", "a budget that is no number", "0 to 255", fit(budget=math.nan)),
    Case("Fit to Budget", "a mask that is black", "nothing would be protected", fit(mask=torch.zeros(1, 9, 9))),
    Case("Fit to Budget", "a mask that is no number", "not finite", fit(mask=torch.full((1, 9, 9), math.nan))),
    Case("Fit to Budget", "two masks for one picture", "2 masks for 1", fit(mask=torch.ones(2, 9, 9))),
    Case("Fit to Budget", "an empty mask", "mask", fit(mask=torch.ones(0, 9, 9))),
    Case("Fit to Budget", "a mask without pixels", "mask", fit(mask=torch.ones(1, 0, 0))),
    Case("Compare", "two sizes", "one size", compare(protected=picture(64, 64))),
    Case("Compare", "two pictures with one", "one size", compare(protected=picture(count=2))),
    Case("Compare", "a picture with alpha", "convert it to RGB", compare(protected=picture(colours=4))),
    Case(
        "Save Protected",
        "a latent for a picture",
        "RGB pictures",
        lambda b: b.node("LDU_SaveProtected", image=torch.ones(1, 4, 8, 8)),
    ),
]
