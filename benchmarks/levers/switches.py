"""The levers by name: each is our default with one thing switched.

The default is `ldu.train` as it stands: k = 2 from a quarter of the way, the record, residual composition, the loss on
the re-encoded 8-bit picture, dual ascent on the residual's RMS, a frozen token, a key for each picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.baselines import surrogate
from benchmarks.baselines.controls import STRIDE, error_of_file
from benchmarks.baselines.pgd import climb, publish, reaching
from benchmarks.decoy import in_the_place_of
from benchmarks.efficacy import ours, published
from benchmarks.efficacy.decoyed import DECOY
from benchmarks.levers.case import Case
from benchmarks.levers.parts import (
    FreeShift,
    LearningLora,
    Structure,
    at_z_0,
    before_decoding,
    beyond_when_normal,
    shifted_at_each_level,
    towards,
)
from benchmarks.thieves import MARKER
from ldu.attacks.purify.contract import Tools
from ldu.attacks.purify.recipe import for_training, parse
from ldu.attacks.textual_inversion import InversionConfig, fit_token
from ldu.budget import to_levels, to_pixels
from ldu.lagrangian import VisibilityMeasure, root_mean_square, share_beyond
from ldu.model import Denoiser
from ldu.protect import Subject
from ldu.protect import publish as publish_shifted
from ldu.published import plain_decode, without_record
from ldu.refine import RefineConfig
from ldu.shapes import LatentOfAnySize, Levels
from ldu.train import TrainConfig

Lever = Callable[[Case], list[Levels]]
DEFAULT, EACH_LEVEL = "default", "a shift at each noise level"
THEN_CONTRAST = f"{EACH_LEVEL}, then contrast and flat areas"
STARTS_FROM = {THEN_CONTRAST: EACH_LEVEL}
"""Levers that go on from what another one, not the default, has made."""
FREE_RATE = 2e-2  # of Adam on a free shift, in standard deviations, as `baselines.controls` has it for z_0
FIXED_PRICE = 0.1
PURIFIERS = "none\njpeg 60..95\nresize 0.5..0.9\njpeg 75..95 + resize 0.5..0.9"
REFITS, REFIT_STEPS = 4, 20
LORA_STEPS = 40  # of each fit, the first one included
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


def with_lora(case: Case) -> list[Levels]:
    """Train against a word and a LoRA of the pictures, and let the LoRA learn on from them as they are, REFITS times.

    Source: alternating surrogate and perturbation, Anti-DreamBooth (Van Le et al. 2023), with a LoRA for its UNet.
    """
    personalizer, every = _lora_of(case), max(1, case.config.train_steps // (REFITS + 1))
    against = replace(case.surrogate, adversary=personalizer(_latents(case, case.photos)))
    return case.by_rho(case.prepared(), against=against, changes={"refit_every": every}, refit=personalizer)


def _lora_of(case: Case) -> LearningLora:
    return LearningLora(case.world, case.token, steps=LORA_STEPS, seed=case.config.seed)


def _latents(case: Case, pictures: Sequence[Levels]) -> list[LatentOfAnySize]:
    with torch.no_grad():
        return [case.surrogate.autoencoder.encode(to_pixels(picture)) for picture in pictures]


def at_each_level(case: Case) -> list[Levels]:
    """Let rho shift what the model sees at every noise level of the walk, not z_T alone."""
    subjects = case.prepared()
    rho = ours.fresh_rho(subjects[0], case.config.seed)
    shifted = shifted_at_each_level(case.surrogate, rho, subjects[0].record.sigmas[0])
    return replace(case, surrogate=shifted).by_rho(subjects, rho=rho)


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


def structured(case: Case) -> list[Levels]:
    """Train a rho for each picture, and hold the structure that it loses in the place of the RMS."""

    def held(subject: Subject) -> Structure:
        return Structure(subject.working, case.config.budget_levels)

    return _each(case, lambda _: None, {"train_steps": case.alone}, visibility=held)


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
    visibility: Callable[[Subject], VisibilityMeasure] = lambda _: root_mean_square,
) -> list[Levels]:
    return [
        case.by_rho([subject], rho=start(subject), changes=changes, visibility=visibility(subject))[0]
        for subject in map(change, case.prepared())
    ]


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


def refined(after: str | None = DEFAULT, **changes: Any) -> Lever:  # noqa: ANN401  (any of the refinement's)
    """Refine what another lever made, or the original, in its pixels; along the slope and nothing else by default."""

    def lever(case: Case) -> list[Levels]:
        starts = case.made(after) if after else case.photos
        config = _refinement(case, **changes)
        return [ours.refined(case.surrogate, *pair, config) for pair in zip(case.photos, starts, strict=True)]

    return lever


def _refinement(case: Case, **changes: Any) -> RefineConfig:  # noqa: ANN401
    plain = RefineConfig(case.config.budget_levels, flat=1, contrast=0, refine_steps=case.alone, seed=case.config.seed)
    return replace(plain, **changes)


def contrast_with_lora(**changes: Any) -> Lever:  # noqa: ANN401  (any of the refinement's)
    """Follow the contrast in as many parts as there are fits, each against a LoRA that learnt on from the last.

    Steps are long at the start of each part; what is taken out is the slope of the LoRA's own model, without the word.
    """

    def lever(case: Case) -> list[Levels]:
        personalizer, found = _lora_of(case), case.photos
        for part in range(REFITS + 1):
            adversary = personalizer(_latents(case, found))
            against = replace(case.surrogate, adversary=adversary, walker=personalizer.wordless)
            steps, seed = max(1, case.alone // (REFITS + 1)), case.config.seed + part
            config = _refinement(case, contrast=1, refine_steps=steps, seed=seed, **changes)
            found = [ours.refined(against, *pair, config) for pair in zip(case.photos, found, strict=True)]
        return found

    return lever


def contrast_with_dreambooth(case: Case) -> list[Levels]:
    """Follow the contrast of a DreamBooth of the clean pictures (FSMG's surrogate) with the model it came from."""
    world, thief = case.world, surrogate.thief_of(case.world)
    generator, x = torch.Generator().manual_seed(case.config.seed), to_pixels(torch.cat(case.photos)).cpu()
    unet = surrogate.fine_tuned(world, world.unet, x, steps=thief.steps, rate=thief.learning_rate, generator=generator)
    with torch.no_grad():
        adversary = replace(world, unet=unet).denoiser(world.condition([world.personal_prompt(MARKER)]))
    against, config = (
        replace(case.surrogate, adversary=adversary),
        _refinement(case, contrast=1, flat=RefineConfig.flat),
    )
    return [ours.refined(against, photo, photo, config) for photo in case.photos]


def towards_somebody_else(case: Case) -> list[Levels]:
    """Let the thief learn the person of DECOY: the contrast of that prompt, made small, with the empty one."""
    with torch.no_grad():
        decoy = case.world.denoiser(case.world.condition([DECOY]))
    against, config = in_the_place_of(case.surrogate, decoy), _refinement(case, contrast=1, flat=RefineConfig.flat)
    return [ours.refined(against, photo, photo, config) for photo in case.photos]


LEVERS: dict[str, Lever] = {
    DEFAULT: alone(),
    "no record": on_subjects(without_record),
    "plain decode, no residual": on_subjects(plain_decode),
    "loss on the latent": latent_loss,
    "no price": alone(price_rate=0.0),
    f"fixed price {FIXED_PRICE:g}": alone(price_rate=0.0, price=FIXED_PRICE),
    "price on what is beyond": beyond_budget,
    "token fitted again": refitted,
    "word and LoRA, fitted again": with_lora,
    "weighting velocity": alone(weighting="velocity"),
    "targeted": targeted,
    "purifiers in the loop": purified,
    "no key": unkeyed,
    "depth 0.1": alone(depth=0.1),
    "depth 0.5": alone(depth=0.5),
    "depth 1": alone(depth=1.0),
    EACH_LEVEL: at_each_level,
    "rho of other people": fed_forward,
    "rho of other people, fine-tuned": fine_tuned,
    "a rho per picture": one_by_one,
    "a rho per picture, held to structure": structured,
    "free shift of z_T": free_shift,
    "free shift of z_0": free_z_0,
    "pixels": pixels,
    "as published": as_published,
    "default, then pixels": refined(visibility=0),
    "default, then the slope": refined(),
    "default, then the contrast": refined(contrast=1),
    "default, then contrast and flat areas": refined(contrast=1, flat=RefineConfig.flat),
    THEN_CONTRAST: refined(EACH_LEVEL, contrast=1, flat=RefineConfig.flat),
    "the slope alone": refined(None),
    "the contrast alone": refined(None, contrast=1),
    "contrast and flat areas alone": refined(None, contrast=1, flat=RefineConfig.flat),
    "contrast and quieter flat areas alone": refined(None, contrast=1, flat=RefineConfig.flat / 2),
    "the slope and flat areas alone": refined(None, flat=RefineConfig.flat),
    "the contrast against word and LoRA": contrast_with_lora(),
    "contrast and flat areas against word and LoRA": contrast_with_lora(flat=RefineConfig.flat),
    "contrast and flat areas against a DreamBooth": contrast_with_dreambooth,
    "contrast and flat areas towards somebody else": towards_somebody_else,
}
