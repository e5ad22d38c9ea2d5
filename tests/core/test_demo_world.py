"""The demo world's training parts: the file round-trips, the running start is what it says, clocks anneal."""

import math

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="the demo world is trained with diffusers (extra: train)")

from demo import architecture, convert, fresh_vae, pipeline  # noqa: E402
from demo.identity import IdentityNet, load_identity  # noqa: E402
from demo.train_identity import contrastive_loss, held_out_photos, nearest_neighbour_hits  # noqa: E402
from demo.train_unet import denoising_loss  # noqa: E402
from demo.train_vae import divergence, fold_scale, held_out_batch, psnr_against_render  # noqa: E402
from demo.training import Clock  # noqa: E402


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return architecture.make_vae(), architecture.make_unet(), architecture.make_text_encoder()


def test_a_checkpoint_round_trips(models, tmp_path, monkeypatch):
    """Every weight comes back from the single file as its fp16 self, under the host's prefixes."""
    monkeypatch.setattr(pipeline, "load_tokenizer", lambda: None)
    path = tmp_path / "demo.safetensors"
    pipeline.save_checkpoint(path, *models)
    config, weights = pipeline.read_checkpoint(path)
    assert config["unet"] == architecture.UNET
    prefixes = (convert.UNET_PREFIX, convert.VAE_PREFIX, convert.CLIP_PREFIX + "text_model.")
    assert all(key.startswith(prefixes) for key in weights)
    for model, loaded in zip(models, pipeline.load_diffusers(path)[:3], strict=True):
        for name, value in model.named_parameters():
            assert torch.equal(loaded.state_dict()[name], value.detach().half().float()), name


def test_a_checkpoint_without_a_text_encoder_takes_that_of_the_demo_checkpoint(tmp_path, monkeypatch):
    """The second model of the lab is a UNet and a VAE of other widths."""
    monkeypatch.setattr(pipeline, "load_tokenizer", lambda: None)
    config, path = architecture.SECOND.config, tmp_path / "second.safetensors"
    vae, unet = architecture.make_vae(config["vae"]), architecture.make_unet(config["unet"])
    pipeline.save_checkpoint(path, vae, unet, None, config)
    assert not any(key.startswith(convert.CLIP_PREFIX) for key in pipeline.read_checkpoint(path)[1])
    loaded, text = pipeline.load_diffusers(path), pipeline.load_diffusers()[2]
    for own, there in ((vae, loaded[0]), (unet, loaded[1]), (text, loaded[2])):
        for name, value in own.state_dict().items():
            assert torch.equal(there.state_dict()[name], value.half().float()), name


def test_a_file_without_our_metadata_is_refused(tmp_path):
    """A stranger's file gets one sentence."""
    path = tmp_path / "other.safetensors"
    pipeline.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no demo checkpoint"):
        pipeline.read_checkpoint(path)


def test_the_checkpoint_and_the_identity_network_fit_in_forty_megabytes(models):
    """Two bytes a parameter, all together."""
    nets = (*models, IdentityNet())
    assert 2 * sum(p.numel() for net in nets for p in net.parameters()) < 40e6


def test_folding_the_scale_keeps_the_reconstruction(models):
    """Scaled latents get unit variance and the decoded picture does not move."""
    vae, x = architecture.make_vae().eval(), torch.rand(4, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(x).latent_dist.mean).sample
        fold_scale(vae, x)
        z = vae.encode(x).latent_dist.mean
        assert (z * architecture.LATENT_SCALE).std().item() == pytest.approx(1, abs=1e-3)
        assert torch.allclose(vae.decode(z).sample, before, atol=1e-4)


def test_restored_blocks_are_identities():
    """A VAE decodes the same before and after its full-resolution blocks come back."""
    vae, z = architecture.make_vae().eval(), torch.randn(1, 4, 4, 4)
    fresh_vae.quiet_blocks(vae)
    assert any(isinstance(module, fresh_vae.PassOn) for module in vae.modules())
    with torch.no_grad():
        quiet = vae.decode(z).sample
        fresh_vae.restore_blocks(vae)
        assert fresh_vae.blocks_are_identities(vae)
        assert not fresh_vae.blocks_are_identities(architecture.make_vae())
        assert torch.allclose(vae.decode(z).sample, quiet, atol=1e-5)
    assert vae.state_dict().keys() == architecture.make_vae().state_dict().keys()


def test_the_running_start_already_codes_pictures():
    """Before any training step the decoded picture explains two thirds of the variance."""
    torch.manual_seed(0)
    vae, x = architecture.make_vae(), held_out_batch(6)[1][..., ::2, ::2].contiguous()
    fresh_vae.quiet_blocks(vae)
    fresh_vae.start_from_data(vae, x)
    with torch.no_grad():
        decoded = vae.decode(vae.encode(x).latent_dist.mean).sample
    assert (decoded - x).square().mean() < x.var() / 3


def test_principal_patches_have_unit_variance_and_are_uncorrelated():
    """The targets of the encoder's start are white."""
    codes = fresh_vae.principal_patches(torch.randn(64, 3, 16, 16)).transpose(0, 1).flatten(1)
    assert torch.allclose(torch.corrcoef(codes), torch.eye(4), atol=0.02)
    assert torch.allclose(codes.std(1), torch.ones(4), atol=1e-3)


def test_a_standard_normal_posterior_has_no_divergence():
    """KL(N(0, 1) || N(0, 1)) = 0, and it grows with the mean."""
    zero = torch.zeros(3, 4)
    assert divergence(zero, zero).item() == 0
    assert divergence(zero + 2, zero).item() == pytest.approx(2)


def test_the_denoising_loss_weights_by_noise_level():
    """The weight falls as 5 / SNR where there is hardly any noise and rises as the signal fades."""
    ones, zeros = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    weights = [denoising_loss(ones, zeros, torch.tensor([a])).item() for a in (0.99, 0.5, 0.01)]
    assert weights == pytest.approx([5 / 99 * 0.99**-0.75, 0.5**-0.75, 0.01**-0.75], rel=1e-3)


def test_the_contrastive_loss_falls_when_a_person_agrees_with_itself():
    """Grouped embeddings cost less than shuffled ones."""
    embeddings = torch.eye(4).repeat_interleave(3, 0)
    people = torch.arange(4).repeat_interleave(3)
    assert contrastive_loss(embeddings, people) < contrastive_loss(embeddings[torch.randperm(12)], people)


def test_every_parameter_of_the_world_learns(models):
    """One denoising step through UNet and text encoder gives every parameter a finite, non-zero gradient."""
    _, unet, text = models
    condition = text(torch.randint(0, 49408, (2, 77))).last_hidden_state
    noise = torch.randn(2, 4, 8, 8)
    pred = unet(noise, torch.tensor([10, 900]), condition).sample
    denoising_loss(pred, torch.randn_like(noise), torch.tensor([0.9, 0.1])).backward()
    for name, parameter in [*unet.named_parameters(), *text.named_parameters()]:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # a key's bias shifts all scores of a query alike, which softmax does not see
        assert parameter.grad.abs().max() > 0 or name.endswith("k_proj.bias"), name


def test_the_learning_rate_ends_annealed():
    """The rate rises at first and ends at 2 % of its peak."""
    clock = Clock(limit=100.0, spent=50.0)
    assert clock.learning_rate(1.0) == pytest.approx(0.02 + 0.49, abs=0.01)
    assert Clock(limit=1.0, spent=2.0).learning_rate(1.0) == pytest.approx(0.02)
    assert Clock(limit=1e6).learning_rate(1.0) < 0.05
    assert math.isclose(Clock(limit=1.0, spent=2.0).progress, 1.0)


@pytest.fixture(scope="module")
def shipped():
    if not pipeline.WEIGHTS.exists():
        pytest.skip("no weights in this checkout")
    config, weights = pipeline.read_checkpoint(pipeline.WEIGHTS)
    vae = architecture.make_vae(config["vae"])
    names = convert.vae_keys(vae.state_dict(), config["vae"])
    vae.load_state_dict(convert.to_diffusers(names, weights, vae.state_dict()))
    return vae.eval().requires_grad_(False)


def test_the_shipped_vae_reconstructs_unseen_portraits(shipped):
    """At least 27 dB against the noise-free render, on latents of about unit variance."""
    assert psnr_against_render(shipped, 4).mean() > 27
    z = shipped.encode(held_out_batch(4)[0]).latent_dist.mean * architecture.LATENT_SCALE
    assert 0.7 < z.std() < 1.3


def test_the_shipped_identity_network_knows_unseen_people():
    """Ten strangers' second photos find their first ones."""
    photos = held_out_photos(people=10)
    assert nearest_neighbour_hits(load_identity(), photos[:, 0], photos[:, 1]).float().mean() >= 0.9


def test_the_demo_world_and_its_helpers_stay_below_forty_megabytes_each():
    """What is shipped fits in the repository."""
    sizes = {file.stem: file.stat().st_size for file in pipeline.WEIGHTS.parent.glob("*.safetensors")}
    assert sizes.pop(pipeline.WEIGHTS.stem) + sizes.pop("identity") < 40e6
    assert sum(sizes.values()) < 40e6
