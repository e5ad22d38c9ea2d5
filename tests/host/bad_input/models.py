"""Models, VAEs, latents, conditions and rhos that do not belong together, and numbers that do not fit them."""

from copy import copy

import comfy.model_sampling as sampling
import torch

from ..tiny_models import latents
from .bench import Bench, Case, clip, condition, model, picture, rho, vae, walked

GOOD = picture()


def train(**given):
    def attempt(b: Bench):
        usual = {"model": model(), "vae": vae(), "image": GOOD, "conditioning": condition(), "steps": 1, "k": 1}
        return b.node("LDU_TrainRho", **{**usual, **{k: v(b) if callable(v) else v for k, v in given.items()}})

    return attempt


def invert(**given):
    usual = {"model": model, "latent": latents, "k": 2, "depth": 0.5, "conditioning": condition}
    return lambda b: b.node("LDU_InvertToZT", **{k: v() if callable(v) else v for k, v in {**usual, **given}.items()})


def shift(z_T=lambda b: walked(b)[0], **card):
    channels = card.pop("channels", 4)
    return lambda b: b.node("LDU_ApplyRhoShift", z_T=z_T(b), rho=rho(b, channels, **card))


def denoise(**given):
    def attempt(b: Bench):
        z_T, record, _ = walked(b)
        usual = {"model": model(), "z_T": z_T | {"samples": z_T["samples"] + 0.1}, "record": record}
        changed = {k: v(b) if callable(v) else v for k, v in given.items()}
        return b.node("LDU_FewStepDenoise", **{**usual, "conditioning": condition(), **changed})

    return attempt


def choose(**given):
    def attempt(b: Bench):
        usual = {"model": model, "clip": clip, "record": lambda: walked(b)[1], "decoys": "a girl with red hair"}
        return b.node("LDU_ChooseDecoy", **{k: v() if callable(v) else v for k, v in {**usual, **given}.items()})

    return attempt


def judge(**given):
    def attempt(b: Bench):
        usual = {"model": model(), "vae": vae(), "conditioning": condition(), "original": GOOD, "protected": GOOD}
        return b.node(
            "LDU_MeasureLoss", **{**usual, "draws": 2, **{k: v() if callable(v) else v for k, v in given.items()}}
        )

    return attempt


def refine(**given):
    def attempt(b: Bench):
        shifted = {"image": (GOOD + 1 / 255).clamp(max=1), "original": GOOD}
        usual = {"model": model(), "vae": vae(), "conditioning": condition(), **shifted}
        changed = {k: v() if callable(v) else v for k, v in given.items()}
        return b.node("LDU_RefinePixels", **{**usual, "steps": 1, **changed})

    return attempt


def encoded():
    """Return the latent of the picture that is to be refined."""
    return {"samples": vae().encode(GOOD)}


def coarse_vae():
    """Return a VAE that says of itself what that of FLUX.2 says."""
    found = copy(vae())
    found.downscale_ratio = 16
    return found


def sampled_as_edm():
    patched = model().clone()
    kind = type("Sampling", (sampling.ModelSamplingDiscrete, sampling.EDM), {})
    patched.add_object_patch("model_sampling", kind(patched.model.model_config))
    return patched


def no_encoder():
    """Return a CONDITIONING as an SDXL or Flux encoder would make for this SD1 model."""
    return condition(width=2048)


MODELS = [
    Case(
        "Invert to z_T",
        "a latent of 3 channels",
        "VAE of the same checkpoint",
        invert(latent={"samples": torch.ones(1, 3, 8, 8)}),
    ),
    Case("Invert to z_T", "an empty batch", "latents are", invert(latent={"samples": torch.ones(0, 4, 8, 8)})),
    Case("Invert to z_T", "a video's latent", "latents are", invert(latent={"samples": torch.ones(1, 4, 3, 8, 8)})),
    Case(
        "Invert to z_T",
        "a latent that is no number",
        "fp32-vae",
        invert(latent={"samples": torch.full((1, 4, 8, 8), torch.nan)}),
    ),
    Case("Invert to z_T", "a z_T once more", "z_T already", lambda b: walked(b, latent=walked(b)[0])),
    Case("Invert to z_T", "k 64 at depth 0.02", "steps fit", invert(k=64, depth=0.02)),
    Case("Invert to z_T", "a model of another formula", "The walk covers", invert(model=sampled_as_edm)),
    Case(
        "Invert to z_T",
        "SDXL without a condition",
        "CLIP Text Encode",
        invert(model=lambda: model("sdxl"), conditioning=None),
    ),
    Case("Invert to z_T", "a condition from another checkpoint", "same checkpoint", invert(conditioning=no_encoder)),
    Case("Invert to z_T", "an SD1 condition for SDXL", "same checkpoint", invert(model=lambda: model("sdxl"))),
    Case("Invert to z_T", "a condition of nothing", "condition", invert(conditioning=[])),
    Case("Apply ρ Shift", "a latent that is no z_T", "not a z_T", shift(lambda b: latents())),
    Case("Apply ρ Shift", "a ρ of another family", "trained for SDXL", shift(model_family="SDXL")),
    Case("Apply ρ Shift", "a ρ of a v model", "v prediction", shift(prediction="v")),
    Case("Apply ρ Shift", "a ρ of another k", "k = 2", shift(k_steps=2)),
    Case("Apply ρ Shift", "a ρ of another depth", "depth", shift(depth=0.25, sigmas=(9.0, 3.0, 2.0, 1.0, 0.0))),
    Case("Apply ρ Shift", "a ρ of another checkpoint", "another checkpoint", shift(model_hash="other")),
    Case("Apply ρ Shift", "a ρ for 16 channels", "16 channels", shift(channels=16)),
    Case("Few-step Denoise", "a latent that is no z_T", "not a z_T", denoise(z_T=lambda b: latents())),
    Case("Few-step Denoise", "a record of another k", "another grid", denoise(record=lambda b: walked(b, k=2)[1])),
    Case(
        "Few-step Denoise",
        "a record of another size",
        "holds latents of",
        denoise(record=lambda b: walked(b, latent={"samples": torch.ones(1, 4, 8, 4)})[1]),
    ),
    Case("Few-step Denoise", "a model of another family", "same kind", denoise(model=lambda b: model("sdxl"))),
    Case(
        "Few-step Denoise",
        "a condition from another checkpoint",
        "same checkpoint",
        denoise(conditioning=lambda b: no_encoder()),
    ),
    Case("Train ρ", "nothing to train against", "connect a conditioning", train(conditioning=None)),
    Case("Train ρ", "no picture", "list is empty", train(image=lambda b: [])),
    Case("Train ρ", "a picture with alpha", "convert it to RGB", train(image=picture(colours=4))),
    Case("Train ρ", "a strip of 4000 x 10", "too narrow", train(image=picture(10, 4000))),
    Case("Train ρ", "a budget of 300", "0 to 255", train(budget=300.0)),
    Case("Train ρ", "three masks for one picture", "3 masks", train(mask=torch.ones(3, 64, 72))),
    Case("Train ρ", "a mask of no size", "paint one", train(mask=torch.zeros(1, 0, 0))),
    Case("Train ρ", "a mask that is black", "nothing would be protected", train(mask=torch.zeros(1, 64, 72))),
    Case("Train ρ", "a ρ of another family", "trained for SDXL", train(rho=lambda b: rho(b, model_family="SDXL"))),
    Case("Train ρ", "k 64 at depth 0.02", "steps fit", train(k=64, depth=0.02)),
    Case("Train ρ", "the VAE of SD3 with SD1", "same checkpoint", train(vae=lambda b: vae("sd3"))),
    Case("Train ρ", "a checkpoint without a VAE", "VAE", train(vae=lambda b: None)),
    Case("Train ρ", "a VAE of 16 pixels a cell", "16 pixels a side", train(vae=lambda b: coarse_vae())),
    Case(
        "Train ρ", "a condition from another checkpoint", "same checkpoint", train(conditioning=lambda b: no_encoder())
    ),
    Case(
        "Train ρ",
        "a walk condition from another checkpoint",
        "same checkpoint",
        train(walk_conditioning=lambda b: no_encoder()),
    ),
    Case(
        "Train ρ",
        "as published with purifiers",
        "disconnect them",
        train(as_published=True, purifiers=lambda b: b.node("LDU_TrainingPurifiers", purifiers="jpeg 75").args[0]),
    ),
    Case(
        "Train ρ",
        "as published from a ρ that was not",
        "turn it off",
        train(as_published=True, rho=lambda b: rho(b, 4)),
    ),
    Case("Train ρ", "refit without a personalizer", "personalizer", train(refit_every=5)),
    Case("Adversary's Loss", "two sizes", "one size", judge(protected=picture(64, 64))),
    Case("Adversary's Loss", "the VAE of SD3 with SD1", "same checkpoint", judge(vae=lambda: vae("sd3"))),
    Case("Adversary's Loss", "a checkpoint without a VAE", "VAE", judge(vae=lambda: None)),
    Case("Adversary's Loss", "a condition from another checkpoint", "same checkpoint", judge(conditioning=no_encoder)),
    Case("Choose a Decoy", "no description", "nothing came", choose(decoys=" \n ")),
    Case("Choose a Decoy", "no picture", "list of records is empty", choose(record=list)),
    Case("Choose a Decoy", "a checkpoint without a CLIP", "holds none", choose(clip=None)),
    Case("Choose a Decoy", "a model of another family", "same kind", choose(model=lambda: model("sdxl"))),
    Case("Refine in Pixels", "neither a condition nor a target", "neither came", refine(conditioning=None)),
    Case("Refine in Pixels", "two targets for one picture", "2 came for 1", refine(target=lambda: latents(batch=2))),
    Case("Refine in Pixels", "a target and purifiers", "no purifiers", refine(target=latents, purifiers=["jpeg 75"])),
    Case("Refine in Pixels", "the picture itself as target", "nowhere to go", refine(target=encoded, original=None)),
    Case("Refine in Pixels", "a target of another size", "working size", refine(target=latents, original=None)),
    Case("Refine in Pixels", "two sizes", "one size", refine(image=picture(64, 64))),
    Case("Refine in Pixels", "two pictures with one", "one size", refine(image=picture(count=2))),
    Case("Refine in Pixels", "a picture with alpha", "convert it to RGB", refine(original=picture(colours=4))),
    Case(
        "Refine in Pixels",
        "a strip of 4000 x 10",
        "too narrow",
        refine(original=picture(10, 4000), image=picture(10, 4000)),
    ),
    Case("Refine in Pixels", "a visibility of 2", "share of the budget", refine(visibility=2.0)),
    Case("Refine in Pixels", "flat areas of 0", "share of the change", refine(flat_areas=0.0)),
    Case("Refine in Pixels", "a contrast of 2", "share of what is hard", refine(contrast=2.0)),
    Case("Refine in Pixels", "a budget of 300", "0 to 255", refine(budget=300.0)),
    Case("Refine in Pixels", "three masks for one picture", "3 masks", refine(mask=torch.ones(3, 64, 72))),
    Case("Refine in Pixels", "a mask that is black", "nothing would be protected", refine(mask=torch.zeros(1, 64, 72))),
    Case("Refine in Pixels", "the VAE of SD3 with SD1", "same checkpoint", refine(vae=lambda: vae("sd3"))),
    Case("Refine in Pixels", "a checkpoint without a VAE", "VAE", refine(vae=lambda: None)),
    Case("Refine in Pixels", "a condition from another checkpoint", "same checkpoint", refine(conditioning=no_encoder)),
    Case("Refine in Pixels", "a condition of nothing", "condition", refine(conditioning=[])),
]
