"""The walk as three nodes: Invert to z_T, Apply ρ Shift, Few-step Denoise."""

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ldu.trajectory import denoise, invert
from ..ldu.wording import one_line
from .estimate import say_few_steps
from .host import (
    WatchedDenoiser,
    default_conditioning,
    intermediate_device,
    load_whole,
    sampling_session,
    tag_model,
)
from .inputs import seed_input, strength_input
from .types import HostRecord, RecordSocket, RhoSocket, TrainedRho, ZTag
from .walk_checks import require_latent, require_rho_for, require_same_kind, require_z_T
from .wording import ALIASES, CATEGORY, DEPTH_TOOLTIP, K_TOOLTIP, MODEL_TOOLTIP, report

MASK_OF_LATENT = "The latent's mask is not looked at: connect it to mask of Fit to Budget and Refine in Pixels."


class FixedNoise:
    """z_T as a NOISE that stock samplers add to an empty latent."""

    def __init__(self, noise: Tensor) -> None:
        self.seed = 0
        self._noise = noise

    def generate_noise(self, _latent: dict[str, Any]) -> Tensor:
        """Return z_T in the host's noise scale."""
        return self._noise.clone()


class InvertToZT(io.ComfyNode):
    """Walk a latent up to z_T and keep the record."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_InvertToZT",
            display_name="Invert to z_T",
            category=CATEGORY,
            search_aliases=[*ALIASES, "ddim inversion", "unsample"],
            description="Walks an encoded picture up the model's noise levels to z_T and records the way back.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Latent.Input("latent", tooltip="The encoded picture, from VAE Encode."),
                io.Int.Input("k", default=2, min=1, max=64, tooltip=K_TOOLTIP),
                io.Float.Input(
                    "depth", default=0.25, min=0.02, max=1.0, step=0.01, tooltip=f"{DEPTH_TOOLTIP} For a decoy 0.6."
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=50,
                    advanced=True,
                    tooltip="Fixed-point iterations per step, for stock samplers that replay z_T without its record: "
                    "0 with the record, else 2 to 5.",
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="Condition of the walk, usually the empty prompt. SD1 and SD2 take zeros without one, "
                    "others need it.",
                ),
            ],
            outputs=[
                io.Latent.Output("z_T", display_name="z_T", tooltip="For Apply ρ Shift, in unit variance."),
                RecordSocket.Output(
                    "record", display_name="record", tooltip="The way back, for Few-step Denoise and Choose a Decoy."
                ),
                io.Noise.Output(
                    "noise", display_name="z_T as noise", tooltip="For a stock sampler with an empty latent."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,  # noqa: ANN401
        latent: dict[str, Any],
        k: int,
        depth: float,
        refine: int,
        conditioning: list[Any] | None = None,
    ) -> io.NodeOutput:
        """Return z_T, the record and z_T as noise."""
        samples = require_latent(model, latent)
        bound = default_conditioning(model, conditioning)
        with sampling_session(model, bound, samples.shape) as session:
            sigmas = session.schedule.grid(k, depth)
            denoiser = WatchedDenoiser(session.bind(bound), k + 1 + refine * k)
            record = invert(denoiser, session.latent_in(samples), session.schedule, sigmas, refine=refine)
            at_end = session.inner.model_sampling.sigma_max.item() <= sigmas[0] * 1.0001
            scale = session.schedule.spread(sigmas[0]) / _noise_factor(session.inner.model_sampling, sigmas[0], at_end)
        home = intermediate_device()
        tag = tag_model(model)
        z_T = latent | {"samples": record.z_T.to(home), "ldu": ZTag(tag, sigmas, depth)}
        norms = " ".join(f"{c.square().mean().sqrt().item():.3g}" for c in reversed(record.corrections))
        text = f"z_T at sigma {sigmas[0]:.3g}, spread {record.z_T.std().item():.3f}\ncorrections, step by step: {norms}"
        numbers = {"nfe": {"protect": denoiser.evaluations}, "k_steps": k, "depth": depth}
        remarks = [*say_few_steps(model), *([MASK_OF_LATENT] if "noise_mask" in latent else [])]
        return io.NodeOutput(
            z_T,
            HostRecord(record, samples, tag).on(home),
            FixedNoise(record.z_T.to(home) * scale),
            ui=report(numbers, "\n".join([text, *remarks]), remarks),
        )


class ApplyRhoShift(io.ComfyNode):
    """Shift z_T by rho."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_ApplyRhoShift",
            display_name="Apply ρ Shift",
            category=CATEGORY,
            search_aliases=ALIASES,
            description="Adds the trained shift ρ(z_T) to z_T. Strength 0 gives back z_T itself.",
            inputs=[
                io.Latent.Input("z_T", tooltip="From Invert to z_T."),
                RhoSocket.Input("rho", display_name="ρ", tooltip="From Train ρ or Load ρ."),
                strength_input(),
                seed_input("Key of this picture's shift; any number, another one gives another shift."),
                io.Boolean.Input(
                    "other_checkpoint",
                    default=False,
                    advanced=True,
                    tooltip="Allow a ρ of another checkpoint of the same family. Its effect is then unknown.",
                ),
            ],
            outputs=[io.Latent.Output("z_T", display_name="z_T", tooltip="Shifted, for Few-step Denoise.")],
        )

    @classmethod
    def execute(
        cls, z_T: dict[str, Any], rho: TrainedRho, strength: float, seed: int, other_checkpoint: bool = False
    ) -> io.NodeOutput:
        """Return the shifted z_T."""
        tag, samples = require_z_T(z_T)
        require_rho_for(rho, tag, samples, other_checkpoint)
        shown = report({}, _about(rho, tag))
        if strength == 0:
            return io.NodeOutput(z_T, ui=shown)
        load_whole(rho.patcher)
        z = samples.to(next(rho.net.parameters()).device, torch.float32)
        key = rho.net.draw_key(z, generator=torch.Generator().manual_seed(seed))
        shift = rho.net(z, z.new_full((z.shape[0],), tag.sigmas[0]), key)
        return io.NodeOutput(z_T | {"samples": samples + strength * shift.to(samples)}, ui=shown)


class FewStepDenoise(io.ComfyNode):
    """Walk z_T down to the protected latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_FewStepDenoise",
            display_name="Few-step Denoise",
            category=CATEGORY,
            search_aliases=[*ALIASES, "ddim"],
            description="Walks a (shifted) z_T down to a latent. With its record, an unshifted z_T gives back "
            "the picture's own latent.",
            inputs=[
                io.Model.Input("model", tooltip="The same as for Invert to z_T."),
                io.Latent.Input("z_T", tooltip="From Apply ρ Shift, or straight from Invert to z_T."),
                RecordSocket.Input(
                    "record",
                    optional=True,
                    tooltip="From Invert to z_T. Makes the way back exact; without it the few steps miss the picture. "
                    "Leave it out to paint somebody else.",
                ),
                io.Conditioning.Input(
                    "conditioning",
                    optional=True,
                    tooltip="The same as for Invert to z_T. From Choose a Decoy, and with no record: the picture with "
                    "somebody else in it.",
                ),
            ],
            outputs=[io.Latent.Output("latent", display_name="latent", tooltip="For VAE Decode.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,  # noqa: ANN401
        z_T: dict[str, Any],
        record: HostRecord | None = None,
        conditioning: list[Any] | None = None,
    ) -> io.NodeOutput:
        """Return the protected latent."""
        tag, samples = require_z_T(z_T)
        require_same_kind(tag_model(model), tag.model)
        out = {key: value for key, value in z_T.items() if key != "ldu"}
        if record is not None and torch.equal(samples, record.record.z_T.to(samples)):
            return io.NodeOutput(out | {"samples": record.samples})
        bound = default_conditioning(model, conditioning)
        with sampling_session(model, bound, samples.shape) as session:
            denoiser = WatchedDenoiser(session.bind(bound), tag.k_steps)
            kept = None if record is None else record.on(session.device).record
            z = samples.to(session.device, torch.float32)
            z_0 = denoise(denoiser, z, session.schedule, tag.sigmas, record=kept)
            out["samples"] = session.latent_out(z_0)
        return io.NodeOutput(out, ui=report({"nfe": {"protect": denoiser.evaluations}}))


def _noise_factor(model_sampling: Any, sigma: float, max_denoise: bool) -> float:  # noqa: ANN401
    """Return by what the host's sampler multiplies a NOISE added to an empty latent at this noise level."""
    one = torch.ones(1, 1, 1, 1, device=model_sampling.sigmas.device)
    return model_sampling.noise_scaling(one.flatten() * sigma, one, torch.zeros_like(one), max_denoise).item()


def say_trained_for(rho: TrainedRho) -> str:
    """Say what rho was trained for."""
    card = rho.card
    how = "; as published, for a walk without record and one decode" if rho.as_published else ""
    walk = f"k {card.k_steps}, depth {card.depth:g}"
    return f"trained for “{one_line(card.prompt)}”, {walk}, budget {card.budget_levels:g} levels{how}"


def _about(rho: TrainedRho, tag: ZTag) -> str:
    """Say what rho was trained for, and that it is another checkpoint if it is."""
    card, said = rho.card, say_trained_for(rho)
    if card.model_hash == tag.model.fingerprint:
        return said
    return f"{said}\nAnother checkpoint (or other LoRAs) than it was trained on: what it does here is unknown."


NODES = [InvertToZT, ApplyRhoShift, FewStepDenoise]
