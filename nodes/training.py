"""Train ρ as a node: progress with a preview, cancel that loses nothing, a result that no cache can lose."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.purify.recipe import Recipe
from ..ldu.budget import working_size
from ..ldu.checkpoint import require_fit, save_rho
from ..ldu.errors import BadValueError, MismatchError
from ..ldu.protect import prepare
from ..ldu.published import PublishedTraining, require_no_purifiers
from ..ldu.shapes import Levels, Mask
from ..ldu.shift_unet import ShiftConfig, ShiftUNet, untrained_rho
from ..ldu.train import ShiftTraining, Surrogate, TrainConfig
from .estimate import Teller, remarks, say_another_walk, say_few_steps, say_other_training, say_time
from .host import (
    HostAutoencoder,
    HostSession,
    default_conditioning,
    differentiable_clip,
    latent_shape,
    normal,
    require_for_loss,
    tag_model,
    training_memory,
    training_resolution,
    training_session,
    under_manager,
)
from .images import fit_mask, mask_planes, require_one_or_each, split_pictures
from .inputs import budget_input, mask_input, seed_input
from .loss_map import loss_map
from .purifier_models import to_train_against
from .token_fitting import encode_views, fit_personalizer, refit
from .training_run import card_of, finished_path, forget, run, summary_of
from .types import ModelTag, Personalizer, PersonalizerSocket, PurifiersSocket, RhoSocket, TrainedRho
from .wording import ALIASES, CATEGORY, DEPTH_TOOLTIP, K_TOOLTIP, MODEL_TOOLTIP, VAE_TOOLTIP, report

_ONE_EACH = ("model", "vae", "clip", "conditioning", "personalizer", "rho", "walk_conditioning")  # may come as lists
_FOR_CLIP = "For clip; unused when conditioning is connected."


@dataclass(frozen=True, kw_only=True)
class _Given:
    """The node's inputs by their names, but for pictures and masks; what is optional may be absent."""

    model: Any
    vae: Any
    budget: float
    k: int
    depth: float
    steps: int
    learning_rate: float
    batch: int
    seed: int
    visibility: float
    patience: int
    refit_every: int
    prompt: str
    initial_word: str
    conditioning: list[Any] | None = None
    clip: Any = None
    as_published: bool = False
    personalizer: Personalizer | None = None
    purifiers: Sequence[Recipe] | None = None
    rho: TrainedRho | None = None
    walk_conditioning: list[Any] | None = None

    @property
    def config(self) -> TrainConfig:
        """Return the settings of the training."""
        return TrainConfig(
            budget_levels=self.budget,
            k_steps=self.k,
            depth=self.depth,
            train_steps=self.steps,
            learning_rate=self.learning_rate,
            batch=self.batch,
            visibility_target=self.visibility,
            patience=self.patience,
            refit_every=self.refit_every,
            seed=self.seed,
        )


class TrainRho(io.ComfyNode):
    """Train the shift on the pictures it is to protect."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_TrainRho",
            display_name="Train ρ",
            category=CATEGORY,
            search_aliases=[*ALIASES, "train"],
            is_input_list=True,
            description="Trains ρ so that a personalizer's loss on the published pictures rises. Interrupt it when you "
            "like: running it again continues, and a finished ρ is kept in output/ldu.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Vae.Input("vae", tooltip=VAE_TOOLTIP),
                io.Image.Input("image", tooltip="The original pictures, of any size."),
                io.Conditioning.Input(
                    "conditioning", optional=True, tooltip="The personalization prompt, from Textual Inversion."
                ),
                io.Clip.Input("clip", optional=True, tooltip="Without a conditioning: learn the word S* here."),
                io.String.Input("prompt", default="a photo of S* person", tooltip=f"{_FOR_CLIP} Must hold S* once."),
                io.String.Input("initial_word", default="person", tooltip=f"{_FOR_CLIP} A coarse word to start from."),
                budget_input(" Set it as in Fit to Budget."),
                io.Int.Input("k", default=2, min=1, max=64, tooltip=K_TOOLTIP),
                io.Float.Input("depth", default=0.25, min=0.02, max=1.0, step=0.01, tooltip=DEPTH_TOOLTIP),
                io.Int.Input(
                    "steps",
                    default=100,
                    min=0,
                    max=100000,
                    tooltip="Optimiser steps, each 2k + 2 evaluations of the model per picture: 60 for the demo model, "
                    "300 for Stable Diffusion.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=2e-3,
                    min=1e-7,
                    max=1.0,
                    step=1e-7,
                    tooltip="Of Adam; 0.0005 to 0.005 is usual. Lower it if the loss jumps.",
                ),
                io.Int.Input(
                    "batch",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Pictures per step, one after the other in memory: 1 for one picture, 2 to 4 for a folder.",
                ),
                seed_input(),
                io.Float.Input(
                    "visibility",
                    default=0.5,
                    min=0.05,
                    max=2.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Target of the shift's change before it is cut to the budget (so it may be above 1): its "
                    "root mean square as a share of the budget. 0.3 to 0.7 is usual; lower looks cleaner.",
                ),
                io.Int.Input(
                    "patience",
                    default=0,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Stop after this many evaluations (one every 10 steps) without a gain of 1 %. "
                    "0 = never, 3 to 5 is usual.",
                ),
                io.Int.Input(
                    "refit_every",
                    default=0,
                    min=0,
                    max=10000,
                    advanced=True,
                    tooltip="With a personalizer: learn S* again on the protected pictures every so many steps. "
                    "0 = never, 20 to 50 is usual.",
                ),
                io.Boolean.Input(
                    "as_published",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Train as LDU's paper has it, against the latent and with a weight set by hand, for a walk "
                    "without record and one decode: k 4, depth 1. For comparison; it protects less. Training takes "
                    "no notice of visibility and mask.",
                ),
                PersonalizerSocket.Input("personalizer", optional=True, tooltip="From Textual Inversion."),
                PurifiersSocket.Input(
                    "purifiers", optional=True, tooltip="What a thief may do first, from Purifiers for Training."
                ),
                mask_input(),
                RhoSocket.Input("rho", display_name="ρ", optional=True, tooltip="Continue from this ρ."),
                io.Conditioning.Input(
                    "walk_conditioning", optional=True, tooltip="Condition of the walk, the same as for Invert to z_T."
                ),
            ],
            outputs=[
                RhoSocket.Output(display_name="ρ", tooltip="For Apply ρ Shift and Save ρ."),
                io.LossMap.Output(display_name="loss_map", tooltip="For the stock Plot Loss Graph."),
            ],
        )

    @classmethod
    def execute(cls, image: list[Tensor], mask: list[Tensor] | None = None, **inputs: list[Any]) -> io.NodeOutput:
        """Return the trained rho and its losses; `inputs` are the schema's, each a list of one."""
        for name in _ONE_EACH:
            if len(inputs.get(name) or ()) > 1:
                raise BadValueError(
                    f"Train ρ makes one ρ for all pictures, but {len(inputs[name])} came as {name}: connect one, such "
                    "as that of a Textual Inversion without names."
                )
        given = _Given(**{name: values[0] for name, values in inputs.items() if values})
        pictures = split_pictures(image)
        return _train(given, pictures, _masks(mask, pictures), Teller())


def _train(given: _Given, pictures: list[Levels], masks: list[Mask | None], teller: Teller) -> io.NodeOutput:
    config, personalizer, published = given.config, given.personalizer, bool(given.as_published)
    if config.refit_every and personalizer is None:
        raise BadValueError(
            f"refit_every is {config.refit_every}, but there is no personalizer to learn again: connect the one of "
            "Textual Inversion, or set refit_every to 0."
        )
    if published:
        require_no_purifiers(given.purifiers or ())
    for condition in (given.conditioning, given.walk_conditioning):
        require_for_loss(condition or [])
    model, tag = given.model, tag_model(given.model)
    side = training_resolution(model)
    net = _start(given.rho, model, tag, published=published)
    sizes = [working_size(picture.shape[-1], picture.shape[-2], side) for picture in pictures]
    shape = latent_shape(model, *max(sizes, key=lambda size: size[0] * size[1]), config.draws)
    clip, patcher = _clip_to_train_through(given), under_manager(net)
    if given.conditioning is None and clip is None:
        raise BadValueError(
            "Train ρ needs something to train against: connect a conditioning from Textual Inversion, or a CLIP."
        )
    prompt = personalizer.prompt if personalizer else given.prompt
    teller.remarks = remarks(model, pictures, masks, side, config)
    if published:
        teller.remarks += say_another_walk(config)
    if given.rho is not None:
        teller.remarks += say_other_training(given.rho.card, tag, config, prompt)
    text = [] if clip is None else [clip.patcher]
    kept = sum(_kept(model, *size, config.k_steps) for size in sizes)
    teller.begin(*training_memory(model, given.vae, shape, [*text, patcher], kept=kept))
    with training_session(model, given.vae, shape, clip=clip, extra=[patcher], kept=kept) as (session, coder):
        condition = _personalization(given, clip, session, coder, pictures, side, teller)
        ti_spent = session.evaluations
        walker = session.bind(normal(default_conditioning(model, given.walk_conditioning)))
        surrogate = Surrogate(walker, coder, session.schedule, side, session.bind(condition))
        started = time.perf_counter()
        subjects = [
            prepare(surrogate, picture.to(session.device), mask, config)
            for picture, mask in zip(pictures, masks, strict=True)
        ]
        subjects[-1].decoded_clean.flatten()[0].item()  # waits for the device
        teller.say(say_time((time.perf_counter() - started) / len(subjects), config, len(subjects)))
        again = refit(personalizer, clip, session) if personalizer and config.refit_every else None
        purifiers = to_train_against(given.purifiers, surrogate)
        kind = PublishedTraining if published else ShiftTraining
        training = kind(surrogate, subjects, net, config, refit=again, purifiers=purifiers)
        run(training, teller)
    net.requires_grad_(False).eval()
    rho = TrainedRho(patcher, card_of(training, tag, prompt, given.purifiers))
    save_rho(finished_path(training), rho.net, rho.card)
    forget(training)
    spent = {"train": session.evaluations - ti_spent, "textual_inversion": ti_spent}
    said = "\n".join([summary_of(training), *teller.remarks])
    numbers = {"nfe": spent, "train_steps": training.state.step}
    # What is said of a picture is said again where that one is protected.
    return io.NodeOutput(rho, loss_map(training.state.losses), ui=report(numbers, said, say_few_steps(model)))


def _kept(model: Any, width: int, height: int, k_steps: int) -> float:  # noqa: ANN401
    """Return the bytes of a prepared picture: at its working size, decoded, and its walk's record, in float32."""
    latent = math.prod(latent_shape(model, width, height, 1))
    return torch.float32.itemsize * (2 * 3 * width * height + (2 * k_steps + 2) * latent)


def _start(given: TrainedRho | None, model: Any, tag: ModelTag, *, published: bool) -> ShiftUNet:  # noqa: ANN401
    """Return a fresh rho for this model, or a copy of the given one."""
    channels = model.get_model_object("latent_format").latent_channels
    with torch.inference_mode(False):
        if given is None:
            keys = 0 if published else ShiftConfig.key_channels  # the paper's rho knows no key
            return untrained_rho(ShiftConfig(channels, key_channels=keys))
        require_fit(
            given.card, model_family=tag.family, prediction=tag.prediction, latent_channels=channels, rho=given.net
        )
        if given.as_published != published:
            was, now = ("off", "on") if published else ("on", "off")
            raise MismatchError(
                f"The ρ to go on from was trained with as_published {was}, but here it is {now}: turn it {was}, "
                "or disconnect ρ."
            )
        net = ShiftUNet(given.net.config)
        net.load_state_dict({name: weight.clone() for name, weight in given.net.state_dict().items()})
        return net


def _clip_to_train_through(given: _Given) -> Any:  # noqa: ANN401
    if given.personalizer and given.refit_every:
        clip = given.personalizer.clip
    else:
        clip = given.clip if given.conditioning is None else None
    return None if clip is None else differentiable_clip(clip)


def _personalization(
    given: _Given,
    clip: Any,  # noqa: ANN401
    session: HostSession,
    coder: HostAutoencoder,
    pictures: list[Levels],
    side: int,
    teller: Teller,
) -> list[Any]:
    """Return the adversary's conditioning, learnt here if none is given."""
    if given.conditioning is not None:
        return normal(given.conditioning)
    latents = encode_views(coder, pictures, side, session.device)
    words = given.prompt, given.initial_word
    return fit_personalizer(*words, clip, session, latents, given.seed, teller).conditioning


def _masks(mask: list[Tensor] | None, pictures: list[Levels]) -> list[Mask | None]:
    """Return one mask per picture at its size, outside inference mode."""
    if not mask or mask[0] is None:
        return [None] * len(pictures)
    planes = [plane for batch in mask for plane in mask_planes(batch)]
    require_one_or_each(len(planes), len(pictures))
    chosen = planes * len(pictures) if len(planes) == 1 else planes
    with torch.inference_mode(False):
        return [fit_mask(plane.clone(), picture) for plane, picture in zip(chosen, pictures, strict=True)]


NODES = [TrainRho]
