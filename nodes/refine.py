"""Refine in Pixels: let a thief learn somebody else by steps on the pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.purify.recipe import Recipe
from ..ldu.budget import compose, to_working_size, working_size
from ..ldu.errors import BadValueError, MismatchError, NonFiniteError
from ..ldu.losses import expected_loss
from ..ldu.model import Denoiser
from ..ldu.refine import RefineConfig, Refinement
from ..ldu.shapes import Latent, Levels, Mask
from ..ldu.target import TowardsTarget
from ..ldu.train import Purifier, Surrogate, published_latent
from .estimate import KEEPS_NOTHING, Pace, Teller
from .host import (
    HostAutoencoder,
    HostDenoiser,
    HostSession,
    default_conditioning,
    encoding_memory,
    encoding_session,
    latent_shape,
    normal,
    preview,
    progress_bar,
    training_memory,
    training_resolution,
    training_session,
)
from .images import fit_mask, mask_of_each, require_one_size, split_pictures, to_image
from .inputs import budget_input, mask_input, seed_input
from .purifier_models import name_all, to_train_against
from .types import PurifiersSocket, RefinedSocket, RefinedWith
from .walk_checks import require_latent
from .wording import ALIASES, CATEGORY, MODEL_TOOLTIP, VAE_TOOLTIP, of_each, report

_PREVIEW_EVERY = 10
_AS_IT_IS = (
    "Not refined and not protected: image and original are the same (strength 0, budget 0, or a ρ of 0 steps). To "
    "refine without a shift, leave original unconnected."
)


class RefinePixels(io.ComfyNode):
    """Put the change where it counts most, in the pixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_RefinePixels",
            display_name="Refine in Pixels",
            category=CATEGORY,
            search_aliases=[*ALIASES, "pgd", "advdm", "hybrid"],
            description="Makes a thief learn somebody else, or spoilt pictures, by small steps on the pixels, within "
            "the same budget and about as visible. Stronger than the shift alone. Connect the picture before the shift "
            "as original; one that the shift left unchanged is given back as it is. Without an original the image "
            "itself is refined.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Vae.Input("vae", tooltip=VAE_TOOLTIP),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="The personalization prompt, from Textual Inversion. Not needed with a target.",
                ),
                io.Image.Input("image", tooltip="The picture after the shift, from Fit to Budget."),
                budget_input(" Set it as in Fit to Budget; the shift's change counts, too."),
                io.Int.Input(
                    "steps",
                    default=RefineConfig.refine_steps,
                    min=0,
                    max=10000,
                    tooltip="Gradient steps, each two evaluations of the model, with a contrast four, towards a target "
                    "none: 20 to 100 is usual. 0 = the picture stays as it is.",
                ),
                seed_input(),
                io.Float.Input(
                    "visibility",
                    default=RefineConfig.visibility,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Root mean square of the whole change (under a mask, of the part that may change) as a "
                    "share of the budget, which it cannot pass: 0.3 to 0.7 is usual, lower looks cleaner. The change "
                    "goes where it counts most. 0 = no such limit: all of the budget is used, everywhere.",
                ),
                io.Float.Input(
                    "flat_areas",
                    default=RefineConfig.flat,
                    min=0.05,
                    max=1.0,
                    step=0.05,
                    tooltip="How much change flat areas take beside busy ones, which hide it: 0.2 to 0.5 is usual. "
                    "1 = alike everywhere, which leaves stains. Without a visibility it has no effect.",
                ),
                io.Float.Input(
                    "contrast",
                    default=RefineConfig.contrast,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="What a thief shall learn, 0 to 1. 1 = somebody else: the change aims only at what tells "
                    "your subject from any other picture. 0 = spoilt pictures: any error of the model counts; this "
                    "takes half as long. Between them, both.",
                ),
                io.Image.Input(
                    "original",
                    optional=True,
                    tooltip="The same picture before the shift, from Load Picture. "
                    "Nothing connected = the image itself: no shift, pixels alone.",
                ),
                PurifiersSocket.Input(
                    "purifiers",
                    optional=True,
                    tooltip="What a thief may do first, from Purifiers for Training. Not with a target.",
                ),
                mask_input(),
                io.Conditioning.Input(
                    "walk_conditioning",
                    optional=True,
                    tooltip="The empty prompt, the same as for Invert to z_T: what the contrast tells the subject "
                    "from. SD1 and SD2 take zeros without one, others need it.",
                ),
                io.Latent.Input(
                    "target",
                    optional=True,
                    tooltip="What a thief shall learn in your subject's place: the same picture with somebody else in "
                    "it, from Few-step Denoise under a decoy. Needs no personalization prompt, and a step then takes "
                    "the VAE alone. "
                    "Nothing connected = away from your subject, towards nobody in particular.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The refined picture in whole levels."),
                RefinedSocket.Output(display_name="settings", tooltip="For Protection Report."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,  # noqa: ANN401
        vae: Any,  # noqa: ANN401
        image: Tensor,
        budget: float,
        steps: int,
        seed: int,
        visibility: float,
        flat_areas: float,
        contrast: float,
        conditioning: list[Any] | None = None,
        original: Tensor | None = None,
        purifiers: Sequence[Recipe] | None = None,
        mask: Tensor | None = None,
        walk_conditioning: list[Any] | None = None,
        target: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        """Refine each picture of a batch; return them and how it was done."""
        if conditioning is None and target is None:
            raise BadValueError(
                "Refine in Pixels needs what a thief shall not learn or what instead, but neither came: connect "
                "Textual Inversion as conditioning, or a target, as the template protect_with_decoy has it."
            )
        if purifiers and target is not None:
            raise BadValueError(
                "Towards a target Refine in Pixels works against no purifiers, but both came: disconnect one of them."
            )
        config = RefineConfig(
            budget_levels=budget,
            visibility=visibility,
            flat=flat_areas,
            refine_steps=steps,
            seed=seed,
            contrast=contrast if target is None else 0.0,
        )
        alone = original is None
        original = image if alone else original
        originals, shifted = split_pictures([original]), split_pictures([image])
        require_one_size(original, image, "refine behind Fit to Budget.")
        side = training_resolution(model)
        size = working_size(original.shape[2], original.shape[1], side)
        shape = latent_shape(model, *size, config.draws)
        # a strength of 0 asks for the picture as it is
        stays = [not alone and torch.equal(*pair) for pair in zip(originals, shifted, strict=True)]
        taken = replace(config, refine_steps=0) if all(stays) else config
        done_with = RefinedWith(taken, name_all(purifiers), mask is not None, target is not None)
        remarks = of_each([_AS_IT_IS if stay and steps else "" for stay in stays])
        if not taken.refine_steps:  # for which no model need be loaded
            kept = [compose(one, after - one, budget) for one, after in zip(originals, shifted, strict=True)]
            return _output(kept, done_with, 0, steps, remarks)
        teller = Teller()
        by_loss, by_vae = (training_memory, training_session), (encoding_memory, encoding_session)
        memory, opened = by_loss if target is None else by_vae
        teller.begin(*memory(model, vae, shape))
        with opened(model, vae, shape) as (session, coder):
            if target is None:
                walk = default_conditioning(model, walk_conditioning) if purifiers or config.contrast else None
                way = _away(session, coder, side, config, conditioning, walk, purifiers)
            else:
                way = _towards(session, coder, side, config, _one_each(session, model, target, len(stays)))
            where = None if mask is None else normal(fit_mask(mask, torch.cat(originals)))
            refined, pace = [], Pace(teller, steps * stays.count(False), KEEPS_NOTHING)
            first = originals[0].to(session.device)
            pace.foretell(lambda: _without_gradient(way, first, config))
            masks = mask_of_each(where, len(stays))
            for number, (one, after, own, stay) in enumerate(zip(originals, shifted, masks, stays, strict=True)):
                if stay:
                    refined.append(after)
                    continue
                here = None if own is None else own.to(session.device)
                refinement = way.begin(number, one.to(session.device), after.to(session.device), here)
                refined.append(_refined(refinement, config, pace))
        return _output(refined, done_with, session.evaluations, steps, [*remarks, pace.took])


def _output(
    refined: Sequence[Levels], done_with: RefinedWith, evaluations: int, steps: int, said: Sequence[str]
) -> io.NodeOutput:
    numbers = {"nfe": {"refine": evaluations}, "refine_steps": steps}
    return io.NodeOutput(to_image(torch.cat(list(refined))), done_with, ui=report(numbers, "\n".join(said)))


@dataclass(frozen=True)
class _Way:
    """Where a refinement leads.

    Args:
        surrogate: the models of a step.
        evaluated: those of its denoisers that a step evaluates.
        purifiers: what is done to the picture first.
        begin: gives the refinement of a picture, by its number, the original, the picture after the shift and a mask.
    """

    surrogate: Surrogate
    evaluated: Sequence[Denoiser]
    purifiers: Sequence[Purifier]
    begin: Callable[[int, Levels, Levels, Mask | None], Refinement]


def _away(
    session: HostSession,
    coder: HostAutoencoder,
    side: int,
    config: RefineConfig,
    conditioning: list[Any] | None,
    walk_conditioning: list[Any] | None,
    purifiers: Sequence[Recipe] | None,
) -> _Way:
    """Lead away from what the personalization prompt names; contrast and purifiers need the walk's condition, too."""
    adversary = session.bind(normal(conditioning))
    walker = adversary if walk_conditioning is None else session.bind(normal(walk_conditioning))
    surrogate = Surrogate(walker, coder, session.schedule, side, adversary)
    chosen = to_train_against(purifiers, surrogate)  # which diffuse with the models' own schedule

    def begin(_: int, original: Levels, shifted: Levels, mask: Mask | None) -> Refinement:
        return Refinement(surrogate, original, shifted, config, mask=mask, purifiers=chosen)

    return _Way(surrogate, [adversary, walker] if config.contrast else [adversary], chosen, begin)


def _towards(
    session: HostSession, coder: HostAutoencoder, side: int, config: RefineConfig, targets: Sequence[Latent]
) -> _Way:
    """Lead to each picture's target, by the VAE alone."""
    never_asked = HostDenoiser(session, [])
    surrogate = Surrogate(never_asked, coder, session.schedule, side, never_asked)

    def begin(number: int, original: Levels, shifted: Levels, mask: Mask | None) -> Refinement:
        return TowardsTarget(surrogate, original, shifted, config, target=targets[number], mask=mask)

    return _Way(surrogate, [], [], begin)


def _one_each(session: HostSession, model: Any, target: dict[str, Any], count: int) -> list[Latent]:  # noqa: ANN401
    """Return the target of each picture, (1, c, h, w) in the model's own scale.

    Raises:
        MismatchError: there are fewer or more of them than pictures.
    """
    samples = require_latent(model, target)
    if len(samples) != count:
        raise MismatchError(
            f"Each picture needs a target of its own, but {len(samples)} came for {count}: make them from the same "
            "pictures."
        )
    return list(normal(session.latent_in(samples)).split(1))


def _without_gradient(way: _Way, picture: Levels, config: RefineConfig) -> None:
    """Do what a step does before its gradient, so that it can be timed."""
    generator, surrogate = torch.Generator(), way.surrogate
    z_0 = published_latent(surrogate, to_working_size(picture, surrogate.resolution), way.purifiers, generator)
    for denoiser in way.evaluated:
        expected_loss(denoiser, z_0, surrogate.schedule, draws=config.draws, generator=generator)


def _refined(refinement: Refinement, config: RefineConfig, pace: Pace) -> Levels:
    """Refine one picture with progress and previews."""
    bar = progress_bar(config.refine_steps)
    for step, _ in enumerate(refinement.run(), start=1):
        due = step % _PREVIEW_EVERY == 0
        bar.update_absolute(step, config.refine_steps, preview(refinement.refined) if due else None)
        pace.tick()
    refined = refinement.refined
    if not refined.isfinite().all():  # each step looks at the one before it, nobody at the last
        raise NonFiniteError(
            "The refinement's last step is not finite: load the model in a wider precision, such as bfloat16."
        )
    return refined


NODES = [RefinePixels]
