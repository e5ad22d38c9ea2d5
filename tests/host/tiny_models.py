"""Small random MODEL, CLIP and VAE objects made of the host's own classes, one set per model family.

A random network is far rougher than a trained one, so its last layer is damped: what is tested is the plumbing.
"""

import weakref

import comfy.ldm.models.autoencoder
import comfy.model_management as mm
import comfy.model_patcher
import comfy.model_sampling
import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
import comfy.supported_models as families
import comfy.taesd.taesd
import comfy.text_encoders.sd2_clip
import safetensors.torch
import torch
from comfy.model_base import ModelType
from comfy.supported_models_base import ClipTarget

WIDTH, POOLED = 64, 32
UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": WIDTH,
    "use_spatial_transformer": True,
    "use_checkpoint": False,
    "legacy": False,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
WIDE = {**UNET, "model_channels": 64}  # these families' heads have 64 channels
MMDIT = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "depth": 2,
    "input_size": None,
    "pos_embed_scaling_factor": None,
    "pos_embed_max_size": 32,
    "num_patches": 32 * 32,
    "adm_in_channels": POOLED,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 128}},
}
TEXT = {"hidden_size": WIDTH, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 3}
FLUX = {
    "image_model": "flux",
    "guidance_embed": True,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": POOLED,
    "context_in_dim": WIDTH,
    "hidden_size": 64,
    "mlp_ratio": 4.0,
    "num_heads": 4,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "txt_ids_dims": [],
    "qkv_bias": True,
}
WITHOUT_CLIP = ("sd3", "flux")  # whose encoders cannot be made small
FAMILIES = ("sd1", "sd1-flow", "sd2-v", "sdxl", *WITHOUT_CLIP)


def randomise(module, seed, damp=()):
    """Give every weight a fixed random value of sensible size; the named ones a fiftieth of it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in (*module.named_parameters(), *module.named_buffers()):
            if not parameter.is_floating_point():
                continue
            if parameter.ndim <= 1:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            else:
                scale = parameter[0].numel() ** -0.5 * (0.02 if name in damp else 1.0)
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return module


def model(family, seed=0, dtype=torch.float32):
    """A MODEL of the family: the host's own model class, 0.4 M parameters."""
    kind, config, prediction = {
        "sd1": (families.SD15, UNET, ModelType.EPS),
        "sd1-flow": (families.SD15, UNET, ModelType.EPS),
        "sd2-v": (families.SD20, {**WIDE, "use_linear_in_transformer": True}, ModelType.V_PREDICTION),
        "sdxl": (
            families.SDXL,
            {**WIDE, "num_classes": "sequential", "adm_in_channels": 6 * 256 + POOLED},
            ModelType.EPS,
        ),
        "sd3": (families.SD3, MMDIT, ModelType.FLOW),
        "flux": (families.Flux, FLUX, ModelType.FLUX),
    }[family]
    built = kind(dict(config))
    built.set_inference_dtype(dtype, None)
    built.model_type = lambda _state_dict, _prefix="": prediction
    net = built.get_model({}, "")
    randomise(net.diffusion_model, seed, damp=("out.2.weight", "final_layer.linear.weight"))
    patcher = comfy.model_patcher.CoreModelPatcher(
        net, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    patcher.model_options["ldu_resolution"] = 64
    return with_flow(patcher) if family == "sd1-flow" else patcher


def with_flow(patcher):
    """The same network sampled as a flow model, through an object patch as the host's own ModelSampling nodes do."""

    class Flow(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    sampling = Flow(patcher.model.model_config)
    sampling.set_parameters(shift=1.0)
    patched = patcher.clone()
    patched.add_object_patch("model_sampling", sampling)
    return patched


def as_dynamic(patcher, again):
    """Let a patcher be taken for one under dynamic memory management, which no CPU has; lists what it loads anew."""
    loads = []

    def load(disable_dynamic):
        assert disable_dynamic
        made = again()
        loads.append(weakref.ref(made.model))
        return made

    patcher.is_dynamic, patcher.cached_patcher_init = lambda: True, (load, ())
    return loads


def conditioning(family, seed=0):
    """A CONDITIONING that the family's model takes."""
    generator = torch.Generator().manual_seed(seed)
    extra = {"pooled_output": torch.randn(1, POOLED, generator=generator)} if family in ("sdxl", *WITHOUT_CLIP) else {}
    return [[torch.randn(1, 77, WIDTH, generator=generator), extra]]


def clip(family, seed=0):
    """A CLIP whose output fits the family's model; None for those WITHOUT_CLIP."""
    if family in WITHOUT_CLIP:
        return None
    encoders = {
        "sd1": (comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel, {"clip_l_model_config": TEXT}),
        "sd2-v": (
            comfy.text_encoders.sd2_clip.SD2Tokenizer,
            comfy.text_encoders.sd2_clip.SD2ClipModel,
            {"clip_h_model_config": TEXT},
        ),
        "sdxl": (
            comfy.sdxl_clip.SDXLTokenizer,
            comfy.sdxl_clip.SDXLClipModel,
            {
                name: {**TEXT, "hidden_size": 32, "projection_dim": 32}
                for name in ("clip_l_model_config", "clip_g_model_config")
            },
        ),
    }
    tokenizer, encoder, sizes = encoders[family.removesuffix("-flow")]
    built = comfy.sd.CLIP(ClipTarget(tokenizer, encoder), model_options={**sizes, "dtype": torch.float32})
    randomise(built.cond_stage_model, seed)
    return built


def vae(family="sd1", dtype=torch.float32, seed=0):
    """A VAE of the family's latent channels, f8, 4 M parameters."""
    channels = 16 if family in WITHOUT_CLIP else 4
    shape = {
        "double_z": True,
        "z_channels": channels,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    params = {"ddconfig": shape, "embed_dim": channels}
    net = randomise(comfy.ldm.models.autoencoder.AutoencoderKL(**params), seed)
    weights = {name: weight.clone() for name, weight in net.state_dict().items()}
    built = comfy.sd.VAE(sd=weights, config={"params": params}, dtype=dtype)
    built.latent_channels = channels  # which the host reads from a file's weights, but not from a config
    return built


def latents(family="sd1", batch=1):
    """LATENTs of pictures of 64 x 80 pixels, at the size that the family's VAE makes."""
    channels = 16 if family in WITHOUT_CLIP else 4
    scale = 1 / 0.18215 if channels == 4 else 1.0
    return {"samples": scale * torch.randn(batch, channels, 8, 10, generator=torch.Generator().manual_seed(0))}


def random_rho(host, model, channels, **card):
    """A rho of random weights for this model, its card as given."""
    ldu, types, nodes = host.module("ldu.shift_unet"), host.module("nodes.types"), host.module("nodes.host")
    torch.manual_seed(0)
    with torch.inference_mode(False):
        net = ldu.ShiftUNet(ldu.ShiftConfig(channels, width=16)).requires_grad_(False)
        torch.nn.init.normal_(net.conv_out.weight)
    tag = nodes.tag_model(model)
    values = {
        "model_family": tag.family,
        "model_hash": tag.fingerprint,
        "prediction": tag.prediction,
        "k_steps": (k := card.get("k_steps", 4)),
        "depth": 0.5,
        "sigmas": nodes.read_schedule(model).grid(k, 0.5),
    }
    return types.TrainedRho(nodes.under_manager(net), host.module("ldu.checkpoint").RhoCard(**{**values, **card}))


def write_sd15(path, seed=0):
    """Write a random checkpoint that the stock loader takes for SD1.5: one level of its UNet, its CLIP, a TAESD."""
    unet = families.SD15(
        {
            **UNET,
            "model_channels": 320,
            "num_res_blocks": [1],
            "channel_mult": [1],
            "transformer_depth": [1],
            "transformer_depth_output": [0, 0],
            "transformer_depth_middle": -2,
            "context_dim": 768,
        }
    )
    unet.set_inference_dtype(torch.float32, None)
    text = comfy.sd1_clip.SD1ClipModel(dtype=torch.float32).clip_l.transformer.text_model
    parts = {
        "model.diffusion_model.": randomise(unet.get_model({}, "").diffusion_model, seed, damp=("out.2.weight",)),
        "cond_stage_model.transformer.text_model.": randomise(text, seed),
        "first_stage_model.": randomise(comfy.taesd.taesd.TAESD(latent_channels=4), seed),
    }
    weights = {
        prefix + name: weight.half().contiguous()
        for prefix, part in parts.items()
        for name, weight in part.state_dict().items()
    }
    weights["first_stage_model.vae_scale"] = torch.tensor(0.18215)
    safetensors.torch.save_file(weights, path)
