"""The levers by name: each is our default with one thing switched.

The default is `ldu.train` as it stands: k = 2 from a quarter of the way, the record, residual composition, the loss on
the re-encoded 8-bit picture, dual ascent on the residual's RMS, a frozen token, a key for each picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.baselines.controls import STRIDE, error_of_file
from benchmarks.baselines.pgd import climb, publish, reaching
from benchmarks.efficacy import ours, published
from benchmarks.levers.case import Case
from benchmarks.levers.parts import (
    FreeShift,
    at_z_0,
    before_decoding,
    beyond_when_normal,
    plain_decode,
    towards,
    without_record,
)
from ldu.attacks.purify.contract import Tools
from ldu.attacks.purify.recipe import for_training, parse
from ldu.attacks.textual_inversion import InversionConfig, fit_token
from ldu.budget import WHITE, to_levels, to_pixels
from ldu.lagrangian import share_beyond
from ldu.model import Denoiser
from ldu.protect import Subject
from ldu.protect import publish as publish_shifted
from ldu.refine import RefineConfig
from ldu.shapes import LatentOfAnySize, Levels
from ldu.train import TrainConfig

Lever = Callable[[Case], list[Levels]]
DEFAULT = "default"
EQUAL = 34.0  # dB, to which every lever's change is scaled; RMS of half a budget of 10 levels
FREE_RATE = 2e-2  # of Adam on a free shift, in standard deviations, as `baselines.controls` has it for z_0
FIXED_PRICE = 0.1
PURIFIERS = "none\njpeg 60..95\nresize 0.5..0.9\njpeg 75..95 + resize 0.5..0.9"
REFITS, REFIT_STEPS = 4, 20
FINE_TUNED = 1 / 4  # of the default's steps, for a rho that was trained on others


def alone(**changes: Any) -> Lever:  # noqa: ANN401  (any of the configuration's)
    """Change settings of the walk and of the training."""
    return lambda case: case.by_rho(case.prepared(**changes), changes=changes)


def on_subjects(change: Callable[[Subject], Subject]) -> Lever:
    """Change what is known of each picture before training."""
    return lambda case: case.by_rho(list(map(change, case.prepared())))


def latent_loss(case: Case) -> list[Levels]:
    """Take the loss on the latent before decoding."""
    return case.by_rho(case.prepared(), against=before_decoding(case.surrogate))


def targeted(case: Case) -> list[Levels]:
    """Pull the file's latent towards that of a picture of rings."""
    subjects = case.prepared()
    return case.by_rho(subjects, against=towards(case.surrogate, to_pixels(subjects[0].working)))


def refitted(case: Case) -> list[Levels]:
    """Fit the token again to the pictures as they are, from where it stood, REFITS times in all."""
    bind, token = case.world.bind(case.world.personal_prompt("S*")), case.token
    every = max(1, case.config.train_steps // (REFITS + 1))

    def again(latents: Sequence[LatentOfAnySize]) -> Denoiser:
        nonlocal token
        generator, config = torch.Generator().manual_seed(case.config.seed), InversionConfig(REFIT_STEPS)
        token = fit_token(bind, latents, case.surrogate.schedule, token, config, generator=generator)
        with torch.no_grad():
            return bind(token)

    return case.by_rho(case.prepared(), changes={"refit_every": every}, refit=again)


def purified(case: Case) -> list[Levels]:
    """Average the loss over purifiers that a thief may use, one drawn per step."""
    return case.by_rho(case.prepared(), purifiers=for_training(parse(PURIFIERS), Tools()))


def unkeyed(case: Case) -> list[Levels]:
    """Let rho do without the seeded planes of noise."""
    subjects = case.prepared()
    return case.by_rho(subjects, rho=ours.fresh_rho(subjects[0], case.config.seed, key_channels=0))


def beyond_budget(case: Case) -> list[Levels]:
    """Hold what lies beyond the budget at its target, not the RMS; for a normal residual both targets are one."""
    target = beyond_when_normal(TrainConfig.visibility_target)
    return case.by_rho(case.prepared(), changes={"visibility_target": target}, visibility=share_beyond)


def one_by_one(case: Case) -> list[Levels]:
    """Train a rho for each picture."""
    return _each(case, lambda _: None, {"train_steps": case.alone})


def free_shift(case: Case) -> list[Levels]:
    """Let Adam move each value of each picture's z_T; no rho."""
    return _each(case, _free, {"train_steps": case.alone, "learning_rate": FREE_RATE})


def free_z_0(case: Case) -> list[Levels]:
    """Let Adam move each value of each picture's z_0; no rho and no walk."""
    changes = {"train_steps": case.alone, "learning_rate": FREE_RATE}
    return _each(case, _free, changes, at_z_0)


def _free(subject: Subject) -> FreeShift:
    return FreeShift(subject.record.z_T)


def _each(
    case: Case,
    start: Callable[[Subject], FreeShift | None],
    changes: dict[str, Any],
    change: Callable[[Subject], Subject] = lambda subject: subject,
) -> list[Levels]:
    subjects = map(change, case.prepared())
    return [case.by_rho([subject], rho=start(subject), changes=changes)[0] for subject in subjects]


def fed_forward(case: Case) -> list[Levels]:
    """Apply a rho that was trained on other people."""
    rho, config = case.general(), case.config
    return [publish_shifted(case.surrogate, rho, each, config, seed=config.seed) for each in case.prepared()]


def fine_tuned(case: Case) -> list[Levels]:
    """Start from a rho that was trained on other people and train a part of the steps."""
    steps = round(FINE_TUNED * case.config.train_steps)
    return case.by_rho(case.prepared(), rho=case.general(), changes={"train_steps": steps})


def pixels(case: Case) -> list[Levels]:
    """Raise the same loss over the pixels by signed steps; no latent is shifted."""
    x, generator = to_pixels(torch.cat(case.photos)).cpu(), torch.Generator().manual_seed(case.config.seed)
    budget, steps = case.config.budget_levels, case.alone

    def loss_of(pictures: torch.Tensor) -> torch.Tensor:
        return error_of_file(case.world, case.surrogate.adversary, pictures, generator)

    found = climb(x, loss_of, steps=steps, budget_levels=budget, stride=reaching(STRIDE, steps))
    return list(to_levels(publish(x, found, budget)).round().split(1))


def as_published(case: Case) -> list[Levels]:
    """Do as the paper has it: no record, no residual, four steps from full depth, a weight set by hand."""
    x, steps = to_pixels(torch.cat(case.photos)).cpu(), max(1, case.config.train_steps // len(case.photos))
    generator, budget = torch.Generator().manual_seed(case.config.seed), case.config.budget_levels
    found = published.protect(case.world, x, budget_levels=budget, steps=steps, generator=generator)
    return list(to_levels(found).round().split(1))


def refined(psnr_db: float = 0.0) -> Lever:
    """Spend what the default left of the budget on the pixels, or keep a PSNR."""

    def lever(case: Case) -> list[Levels]:
        budget = case.config.budget_levels
        visibility = WHITE * 10 ** (-psnr_db / 20) / budget if psnr_db else 0
        config = RefineConfig(budget, visibility, flat=1, contrast=0, refine_steps=case.alone, seed=case.config.seed)
        return [ours.refined(case.surrogate, *pair, config) for pair in zip(case.photos, case.default(), strict=True)]

    return lever


def slope_alone(case: Case) -> list[Levels]:
    """Refine the pixels of the original along the slope; no shift."""
    return refined(EQUAL)(replace(case, default=lambda: case.photos))


LEVERS: dict[str, Lever] = {
    DEFAULT: alone(),
    "no record": on_subjects(without_record),
    "plain decode, no residual": on_subjects(plain_decode),
    "loss on the latent": latent_loss,
    "no price": alone(price_rate=0.0),
    f"fixed price {FIXED_PRICE:g}": alone(price_rate=0.0, price=FIXED_PRICE),
    "price on what is beyond": beyond_budget,
    "token fitted again": refitted,
    "weighting velocity": alone(weighting="velocity"),
    "targeted": targeted,
    "purifiers in the loop": purified,
    "no key": unkeyed,
    "depth 0.1": alone(depth=0.1),
    "depth 0.5": alone(depth=0.5),
    "depth 1": alone(depth=1.0),
    "rho of other people": fed_forward,
    "the same, fine-tuned": fine_tuned,
    "a rho per picture": one_by_one,
    "free shift of z_T": free_shift,
    "free shift of z_0": free_z_0,
    "pixels": pixels,
    "as published": as_published,
    "default, then pixels": refined(),
    "default, then the slope": refined(EQUAL),
    "the slope alone": slope_alone,
}
