"""The thieves: Textual Inversion, prompt tuning, DreamBooth and LoRA on somebody's pictures, as the field runs them.

All of them minimise the model's own noise-prediction loss on the latents of the pictures that they have:
    TI             over the embedding of a new word, everything else frozen     (Gal et al. 2023, eq. 2)
    Prompt tuning  over all that the UNet reads of a prompt, everything else frozen
                                                   (Kawar et al. 2023, Imagic, section 3.2, text embedding optimization)
    DreamBooth     over UNet and text encoder, with prior preservation          (Ruiz et al. 2023, eq. 2)
    LoRA           over low-rank additions to the UNet's attention              (Hu et al. 2022, section 4)

Steps and learning rates of `DEMO` are the smallest that succeed on clean pictures of the demo world; a real checkpoint
takes those of the field (`REAL`). Each has a second setting that differs in all that a protection may have counted on,
and a third that differs in the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from peft import LoraConfig
from torch import Tensor

from benchmarks.world import World, draw_noise, with_article
from ldu.backends.diffusers import TextEncoder
from ldu.budget import resize
from ldu.losses import draw_sigmas, with_prior

MARKER = "sks"
WARM_UP = 0.1  # of the steps
LARGEST_GRADIENT = 1.0  # norm
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class Thief:
    """How a thief works.

    Args:
        kind: TI, Prompt tuning, DreamBooth or LoRA.
        steps: optimiser steps.
        learning_rate: of AdamW.
        batch: draws of a picture, t and noise per step.
        vectors: of the new word (TI).
        rank: of the additions (LoRA).
        prior_batch: draws of the class's own pictures beside them (DreamBooth).
        prior_weight: of the class's own pictures (DreamBooth).
        prompt: with S* for the new word.
        class_prompt: of the prior's pictures.
        initial: the word that TI starts from.
        t_range: the part of the timesteps that it trains on.
        crop: share of the pictures' side that it keeps, about their middle, and enlarges.
        elsewhere: works on another checkpoint than the one that protections know.
    """

    kind: str
    steps: int
    learning_rate: float
    batch: int = 4
    vectors: int = 1
    rank: int = 4
    prior_batch: int = 4
    prior_weight: float = 1.0
    prompt: str = "a photo of S* person"
    class_prompt: str = "a photo of a person"
    initial: str = "person"
    t_range: tuple[float, float] = (0.0, 1.0)
    crop: float = 1.0
    elsewhere: bool = False

    def of(self, subject: str) -> "Thief":
        """Return the thief of pictures that show something else than a person."""

        def say(text: str) -> str:
            return text.replace("a person", with_article(subject)).replace("person", subject)

        named = {name: say(getattr(self, name)) for name in ("prompt", "class_prompt", "initial")}
        return replace(self, **named)


DESCRIBED = "a photo of a person with S*"
"""How captions of the demo world describe somebody; no protection here trains against this prompt."""

DEMO = {
    "TI": Thief("TI", 200, 5e-2, prompt=DESCRIBED),
    "TI x4": Thief("TI", 200, 2e-2, vectors=4),
    "Prompt tuning": Thief("Prompt tuning", 300, 2e-2, prompt=DESCRIBED),
    "DreamBooth": Thief("DreamBooth", 100, 3e-4, prompt=DESCRIBED),
    "LoRA": Thief("LoRA", 150, 3e-3, rank=8, prompt=DESCRIBED),
}

REAL = {
    "TI": Thief("TI", 3000, 2e-3),
    "TI x4": Thief("TI", 3000, 2e-3, vectors=4),
    "Prompt tuning": Thief("Prompt tuning", 500, 1e-3),
    "DreamBooth": Thief("DreamBooth", 1000, 5e-7, batch=1, prior_batch=1),
    "LoRA": Thief("LoRA", 500, 1e-4, batch=1),
}
"""As the field runs them on Stable Diffusion.

Source: TI and LoRA, examples/textual_inversion and examples/dreambooth/README.md of diffusers; prompt tuning,
examples/community/imagic_stable_diffusion.py there; DreamBooth, VinAIResearch/Anti-DreamBooth
scripts/train_dreambooth_alone.sh.
"""
MISMATCH = {
    "prompt": "portrait of S* person",
    "class_prompt": "portrait of a person",
    "initial": "man",
    "crop": 0.85,
    "t_range": (0.2, 1.0),
}
"""What a thief of the second setting does otherwise."""
MISMATCH_OF_THINGS = {"prompt": "a picture of S* person", "class_prompt": "a picture of a person", "initial": "thing"}
"""What it says of subjects that are no persons."""


ELSEWHERE = ", another model"


def thieves_for(*, demo: bool, subject: str = "person") -> dict[str, Thief]:
    """Return the thieves of a checkpoint by name, with ", mismatch" in the second setting, ELSEWHERE in the third.

    Args:
        demo: whether it is a model of the demo world.
        subject: the word for what the pictures show.
    """
    own = {name: thief.of(subject) for name, thief in (DEMO if demo else REAL).items()}
    other = MISMATCH if subject == "person" else MISMATCH | MISMATCH_OF_THINGS
    mismatched = {f"{name}, mismatch": replace(thief, **other).of(subject) for name, thief in own.items()}
    return own | mismatched | {name + ELSEWHERE: replace(thief, elsewhere=True) for name, thief in own.items()}


def condition_with(world: World, token: Tensor, prompt: str) -> Tensor:
    """Return the condition (p, 77, width) of a prompt whose S* reads as each of the embeddings (p, vectors, width)."""
    encoder = TextEncoder(world.text, world.tokenizer)
    return torch.cat([encoder.encode_with(prompt, own) for own in token])


def textual_inversion(world: World, sets: Tensor, thief: Thief, *, generator: torch.Generator) -> Tensor:
    """Return the learnt embeddings (p, vectors, width) of p people at once, from their pictures (p, n, 3, h, w).

    The network being frozen, one person's embedding does not touch another's.
    """
    with torch.no_grad():
        latents = _latents(world, sets.flatten(0, 1), thief).unflatten(0, sets.shape[:2])
        start = world.embedding(thief.initial)
    token = start.expand(len(sets), thief.vectors, -1).clone().requires_grad_()
    descent = _Descent([token], thief, weight_decay=0)
    for _ in range(thief.steps):
        condition = condition_with(world, token, thief.prompt).repeat_interleave(thief.batch, 0)
        z_0 = torch.cat([_draw(person, thief.batch, generator) for person in latents])
        loss = _loss(world, condition, z_0, thief, generator, [thief.batch] * len(sets)).sum() / thief.batch
        descent.step(loss)
    return token.detach()


def prompt_tuning(world: World, x: Tensor, thief: Thief, *, generator: torch.Generator) -> Tensor:
    """Return what the UNet shall read in the prompt's place, (1, 77, width), learnt from pictures x (n, 3, h, w).

    It starts from the prompt with the initial word, and is bound to no word: it has more room than TI's.
    """
    z_0 = _latents(world, x, thief)
    with torch.no_grad():
        condition = world.condition([thief.prompt.replace("S*", thief.initial)])
    condition = condition.float().requires_grad_()
    descent = _Descent([condition], thief, weight_decay=0)
    for _ in range(thief.steps):
        drawn = _draw(z_0, thief.batch, generator)
        loss = _loss(world, condition.expand(thief.batch, -1, -1), drawn, thief, generator, [thief.batch])
        descent.step(loss.mean())
    return condition.detach()


def dreambooth(world: World, x: Tensor, prior: Tensor, thief: Thief, *, generator: torch.Generator) -> World:
    """Return a world fine-tuned on pictures x (n, 3, h, w), with the class's own pictures `prior` (m, 3, h, w)."""
    theirs = world.unfrozen()
    descent = _Descent([*theirs.unet.parameters(), *theirs.text.parameters()], thief)
    z_0, z_prior = _latents(world, x, thief), _latents(world, prior, thief)
    prompts = [thief.prompt.replace("S*", MARKER)] * thief.batch + [thief.class_prompt] * thief.prior_batch
    for _ in range(thief.steps):
        batch = torch.cat([_draw(z_0, thief.batch, generator), _draw(z_prior, thief.prior_batch, generator)])
        groups = [thief.batch, thief.prior_batch]
        own, classes = _loss(theirs, theirs.condition(prompts), batch, thief, generator, groups).split(groups)
        descent.step(with_prior(own, classes, thief.prior_weight))
    return _frozen(theirs)


def lora(world: World, x: Tensor, thief: Thief, *, generator: torch.Generator) -> World:
    """Return a world whose UNet carries low-rank additions learnt on pictures x (n, 3, h, w)."""
    theirs = world.unfrozen()
    theirs.unet.requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(generator.initial_seed())  # peft draws the additions' start
        theirs.unet.add_adapter(LoraConfig(r=thief.rank, lora_alpha=thief.rank, target_modules=list(ATTENTION)))
    descent = _Descent([p for p in theirs.unet.parameters() if p.requires_grad], thief)
    z_0 = _latents(world, x, thief)
    with torch.no_grad():
        condition = world.condition([thief.prompt.replace("S*", MARKER)] * thief.batch)
    for _ in range(thief.steps):
        drawn = _draw(z_0, thief.batch, generator)
        descent.step(_loss(theirs, condition, drawn, thief, generator, [thief.batch]).mean())
    return _frozen(theirs)


def prior_pictures(world: World, thief: Thief, count: int, *, generator: torch.Generator) -> Tensor:
    """Draw the class's own pictures (count, 3, h, w) from the untouched world."""
    with torch.no_grad():
        condition = world.condition([thief.class_prompt] * count)
    return world.generate(condition, generator=generator)


def steal(
    world: World, sets: Tensor, prior: Tensor, thief: Thief, *, prompts: list[str], count: int, seed: int
) -> Tensor:
    """Let a thief learn p people from their pictures (p, n, 3, h, w) and draw `count` pictures a prompt of each.

    Returns:
        (p, prompts * count, 3, h, w), drawn from the same noise for everybody.
    """
    drawn = []
    for theirs, bound in _learnt(world, sets, prior, thief, prompts, seed):
        noise = torch.Generator().manual_seed(seed + 1)
        drawn.append(theirs.generate(bound.repeat_interleave(count, 0), generator=noise))
    return torch.stack(drawn)


def _learnt(
    world: World, sets: Tensor, prior: Tensor, thief: Thief, prompts: list[str], seed: int
) -> Iterator[tuple[World, Tensor]]:
    """Return, a person, the thief's world and the conditions (prompts, 77, width) that draw the person in it."""
    if thief.kind == "TI":
        token = textual_inversion(world, sets, thief, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for own in token.split(1):
                yield world, torch.cat([condition_with(world, own, prompt) for prompt in prompts])
        return
    for x in sets:
        generator = torch.Generator().manual_seed(seed)
        if thief.kind == "Prompt tuning":
            yield world, prompt_tuning(world, x, thief, generator=generator).expand(len(prompts), -1, -1)
            continue
        if thief.kind == "DreamBooth":
            theirs = dreambooth(world, x, prior, thief, generator=generator)
        else:
            theirs = lora(world, x, thief, generator=generator)
        with torch.no_grad():
            yield theirs, theirs.condition([prompt.replace("S*", MARKER) for prompt in prompts])


def _latents(world: World, x: Tensor, thief: Thief) -> Tensor:
    margins = [round((1 - thief.crop) / 2 * side) for side in x.shape[-2:]]
    rows, columns = (slice(margin, side - margin) for margin, side in zip(margins, x.shape[-2:], strict=True))
    with torch.no_grad():
        return world.encode(resize(x[..., rows, columns], *x.shape[-2:]))


def _draw(latents: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return latents[torch.randint(len(latents), (count,), generator=generator)]


def _loss(
    world: World, condition: Tensor, z_0: Tensor, thief: Thief, generator: torch.Generator, groups: Sequence[int]
) -> Tensor:
    """Return the loss of each sample, (b,), weighted over noise levels as the world's own training was.

    Draws of t are spread over the range within each group of `groups` samples: spread over a batch of several people,
    the first would only ever learn from low noise and the last from high noise.
    """
    levels = [draw_sigmas(world.schedule, count, generator=generator, t_range=thief.t_range) for count in groups]
    sigma = torch.cat(levels).to(z_0)
    noise = draw_noise(z_0, generator)
    estimate = world.denoiser(condition)(world.schedule.add_noise(z_0, noise, sigma), sigma)
    weight = world.schedule.loss_weight(sigma) * world.emphasis(sigma)
    return weight * (estimate - z_0).square().mean((1, 2, 3))


class _Descent:
    """AdamW with a linear warm-up; fine-tunings clip their gradient, as the scripts of diffusers do."""

    def __init__(self, parameters: Sequence[Tensor], thief: Thief, *, weight_decay: float = 1e-2) -> None:
        self._parameters, self._thief, self._taken = parameters, thief, 0
        self._optimizer = torch.optim.AdamW(parameters, thief.learning_rate, weight_decay=weight_decay, fused=True)

    def step(self, loss: Tensor) -> None:
        """Take one step down the loss."""
        self._taken += 1
        share = min(1.0, self._taken / max(1, round(WARM_UP * self._thief.steps)))
        self._optimizer.param_groups[0]["lr"] = self._thief.learning_rate * share
        self._optimizer.zero_grad()
        loss.backward()
        if self._thief.kind != "TI":  # many people's tokens are one batch there: they must not touch each other
            torch.nn.utils.clip_grad_norm_(self._parameters, LARGEST_GRADIENT)
        self._optimizer.step()


def _frozen(world: World) -> World:
    world.unet.eval().requires_grad_(False)
    world.text.eval().requires_grad_(False)
    return replace(world)
