"""Training in the real host: under its inference mode, through its weights, with its interrupt."""

import json
import os
import shutil
from dataclasses import replace
from functools import partial

import comfy.model_management as mm
import comfy.sampler_helpers
import comfy.utils
import comfy_extras.nodes_train
import pytest
import safetensors.torch
import torch

from . import tiny_models as tiny

pytestmark = pytest.mark.usefixtures("executor_mode")


def picture(height=64, width=72, seed=0):
    return (torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed)) * 255).round() / 255


@pytest.fixture(scope="module")
def models():
    with torch.inference_mode():  # as loader nodes do
        return {
            family: (tiny.model(family), tiny.clip(family), tiny.vae(family)) for family in ("sd1", "sd2-v", "sdxl")
        }


@pytest.fixture
def train(host):
    defaults = {
        "prompt": "a photo of S* person",
        "initial_word": "person",
        "budget": 10.0,
        "k": 2,
        "depth": 0.5,
        "steps": 3,
        "learning_rate": 5e-3,
        "batch": 1,
        "seed": 0,
        "visibility": 0.5,
        "patience": 0,
        "refit_every": 0,
    }

    def run(model, vae, image, mask=None, **inputs):
        listed = {name: [value] for name, value in {**defaults, "model": model, "vae": vae, **inputs}.items()}
        images = image if isinstance(image, list) else [image]
        return host.classes["LDU_TrainRho"].execute(image=images, mask=mask, **listed).args

    return run


@pytest.fixture
def invert_text(host):
    def run(model, clip, vae, image, **changes):
        inputs = {
            "prompt": "a photo of S* person",
            "placeholder": "S*",
            "initial_word": "person",
            "vectors": 1,
            "steps": 3,
            "learning_rate": 5e-2,
            "seed": 0,
            "save_as": "",
            **changes,
        }
        listed = {name: [value] for name, value in inputs.items()}
        out = host.classes["LDU_TextualInversion"].execute(
            model=[model], clip=[clip], vae=[vae], image=[image], **listed
        )
        return [values[0] for values in out.args[:3]]

    return run


def ksample(host, model, condition):
    latent = {"samples": torch.zeros(1, 4, 8, 8)}
    return host.nodes.KSampler().sample(model, 0, 3, 1.0, "euler", "simple", condition, condition, latent)[0]["samples"]


def test_gradients_reach_every_weight_of_rho_after_a_sampler_ran_and_twice_in_a_row(host, models, train):
    model, _, vae = models["sd1"]
    condition = tiny.conditioning("sd1")
    before = ksample(host, model, condition)
    decoded = host.nodes.VAEDecode().decode(vae, {"samples": torch.ones(1, 4, 8, 8)})[0]
    untrained = train(model, vae, picture(), conditioning=condition, steps=0)[0].net.state_dict()
    for seed in (1, 2):
        rho, losses = train(model, vae, picture(), conditioning=condition, seed=seed)
        assert len(losses["loss"]) == 3
        for name, weight in rho.net.named_parameters():
            assert weight.isfinite().all(), name
            assert not torch.equal(weight, untrained[name]), name
            assert not weight.requires_grad, name
            assert weight.grad is None, name
    assert torch.equal(ksample(host, model, condition), before)
    assert torch.equal(host.nodes.VAEDecode().decode(vae, {"samples": torch.ones(1, 4, 8, 8)})[0], decoded)
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert not mm.in_training


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sdxl"])
def test_textual_inversion_learns_a_word_and_its_conditioning_trains_rho(host, models, train, invert_text, family):
    model, clip, vae = models[family]
    condition, personalizer, losses = invert_text(model, clip, vae, picture(), vectors=2)
    assert len(losses["loss"]) == 3
    start = host.module("nodes.token_encoder").TokenEncoder(clip, "a photo of S* person", "person").initial(2)
    assert personalizer.token.shape == start.shape
    assert (personalizer.token - start).abs().min() > 0
    walk = tiny.conditioning(family)
    rho, losses = train(
        model, vae, picture(), conditioning=condition, walk_conditioning=walk, personalizer=personalizer, refit_every=2
    )
    assert len(losses["loss"]) == 3
    assert rho.card.prompt == "a photo of S* person"


def test_what_a_training_keeps_of_its_pictures_is_counted_and_is_what_it_keeps(host, models, train, monkeypatch):
    model, _, vae = models["sd1"]
    training, begin, counted, kept = host.module("nodes.training"), host.module("nodes.estimate").Teller.begin, [], []

    def prepared(*given):
        subject = prepare(*given)
        record = subject.record
        there = (subject.working, subject.decoded_clean, record.z_T, *record.points, *record.corrections)
        kept.append(sum(tensor.nbytes for tensor in {each.data_ptr(): each for each in there}.values()))
        return subject

    prepare = training.prepare
    monkeypatch.setattr(training, "prepare", prepared)
    monkeypatch.setattr(
        host.module("nodes.estimate").Teller,
        "begin",
        lambda self, wanted, free: (counted.append(wanted), begin(self, wanted, free)),
    )
    for images in (picture(), [picture(), picture(seed=1)]):
        train(model, vae, images, conditioning=tiny.conditioning("sd1"), steps=1, k=4)
    assert counted[1] - counted[0] == pytest.approx(kept[0], rel=0.05)


def test_a_picture_too_narrow_to_be_walked_is_refused_before_a_word_is_learnt_of_it(models, invert_text):
    with pytest.raises(Exception, match=r"^A picture of 3000x8 pixels is too narrow"):
        invert_text(*models["sd1"], torch.rand(1, 8, 3000, 3))


@pytest.mark.parametrize("size", [(20, 400), (20, 401), (300, 1503), (1603, 300), (33, 1001)])
def test_of_a_long_picture_the_middle_alone_is_enlarged_as_a_thief_sees_it(host, size):
    steps = torch.linspace(0, 255, max(size)).reshape(
        [1, 1, *(length if length == max(size) else 1 for length in size)]
    )
    long = steps.expand(1, 3, *size)  # a shift by a pixel is one level at most of what is wide
    seen = host.module("nodes.images").as_a_thief_loads_it(long, 512)
    apart = (seen - host.module("ldu.attacks.thief").thief_view(long, 512)).abs().max()
    assert apart < 0.1 * 255 / max(size)  # a tenth of a pixel


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("glued", ["a photo of S*person", "a photo ofS* person", "S*的照片"])
def test_a_word_that_touches_letters_is_learnt_like_one_that_stands_alone(host, models, family, glued):
    clip = models[family][1]

    def encoded(prompt, factor):
        encoder = host.module("nodes.token_encoder").TokenEncoder(clip, prompt, "person")
        ((condition, _),) = encoder.encode(factor * encoder.initial(1))
        return condition

    apart = {"S*的照片": "S* 的照片"}.get(glued, "a photo of S* person")
    assert torch.equal(encoded(glued, 2), encoded(apart, 2))
    assert not torch.equal(encoded(glued, 2), encoded(glued, 3))


@pytest.mark.parametrize(("steps", "asked", "drawn"), [(9, 4, 4), (2, 4, 2), (9, 1, 1), (9, 0, 0), (0, 4, 0)])
def test_previews_of_the_word_are_few_and_change_nothing(host, models, monkeypatch, steps, asked, drawn):
    model, clip, vae = models["sd1"]
    sent = []
    monkeypatch.setattr(host.module("nodes.token_fitting"), "progress_bar", lambda _: Bar(sent))
    words = {"prompt": "a photo of S* person", "placeholder": "S*", "initial_word": "person", "vectors": 1}
    settings = {**words, "steps": steps, "learning_rate": 5e-2, "seed": 0, "save_as": ""}
    listed = {name: [value] for name, value in settings.items()}
    learn = partial(host.classes["LDU_TextualInversion"].execute, [model], [clip], [vae], [picture()], **listed)
    with_pictures, without = learn(previews=[asked]), learn(previews=[0])
    assert torch.equal(with_pictures.args[0][0][0][0], without.args[0][0][0][0])
    told, silent = (  # a blocker, where there is no curve to plot, is told by what it says
        [getattr(losses, "message", losses) for losses in made.args[2]] for made in (with_pictures, without)
    )
    assert told == silent
    shown = [preview for preview in sent[:steps] if preview]
    assert len({id(preview) for preview in shown}) == drawn
    assert all(preview[1].size == (64, 64) and preview[1].mode == "RGB" for preview in shown)
    spent = [json.loads(out.ui["ldu"][0])["nfe"]["textual_inversion"] for out in (with_pictures, without)]
    assert spent[0] - spent[1] == 8 * drawn


class Bar:
    """A progress bar that keeps the previews it gets."""

    def __init__(self, sent):
        self._sent = sent

    def update_absolute(self, value, total=None, preview=None):
        self._sent.append(preview)


def test_the_host_trains_while_a_session_is_open_and_not_after_it_whatever_fails(host, models, monkeypatch):
    model, _, vae = models["sd1"]
    opened = partial(host.module("nodes.host").training_session, model, vae, (1, 4, 8, 8))
    with opened():
        assert mm.in_training  # which keeps the host from kernels without a backward pass
    assert not mm.in_training
    assert model.model.current_patcher is None

    def fails(_patcher):
        raise RuntimeError("a callback of another pack")

    monkeypatch.setattr(type(model), "pre_run", fails)
    with pytest.raises(RuntimeError, match="another pack"), opened():
        pass
    assert not mm.in_training


def test_weights_and_buffers_of_inference_mode_are_made_such_that_autograd_can_save_them(host):
    with torch.inference_mode():
        layer = torch.nn.Linear(2, 2)
        layer.register_buffer("scale", torch.ones(2))
    with torch.inference_mode(False):
        host.module("nodes.host.memory").make_normal(layer)
        given = torch.ones(2, requires_grad=True)
        (layer(given) * layer.scale).sum().backward()
    assert given.grad.isfinite().all()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_slopes_through_every_kind_of_model_are_those_of_its_answers(host, family):
    """A finite difference in float32, with and without gradient checkpointing; FLUX adds in place to what is saved."""
    model, vae, condition = tiny.model(family), tiny.vae(family), tiny.conditioning(family)
    tiny.randomise(model.model.diffusion_model, 0)  # the last layer's, too: a damped one hides all others
    shape = tiny.latents(family)["samples"].shape
    with host.module("nodes.host").training_session(model, vae, shape) as (session, _):
        generator = torch.Generator().manual_seed(3)
        at, weights, way = (torch.randn(shape, generator=generator) for _ in range(3))
        sigma = torch.full((1,), 0.5)
        denoiser = session.bind(host.module("nodes.host").normal(condition))
        recomputed = partial(host.module("ldu.trajectory").recomputed, denoiser)
        with torch.no_grad():
            step = 1e-2 / way.norm()
            ends = [(denoiser(at + sign * step * way, sigma) * weights).double().sum() for sign in (1, -1)]
        wanted = (ends[0] - ends[1]) / (2 * step)
        for answer in (denoiser, recomputed):
            z = at.clone().requires_grad_()
            (slope,) = torch.autograd.grad((answer(z, sigma) * weights).sum(), z)
            assert (slope * way).sum().item() == pytest.approx(wanted.item(), rel=1e-2)


def test_flow_models_of_any_kind_train_too(train):
    for family in ("sd1-flow", *tiny.WITHOUT_CLIP):
        model, vae, condition = tiny.model(family), tiny.vae(family), tiny.conditioning(family)
        rho, losses = train(model, vae, picture(), conditioning=condition, walk_conditioning=condition)
        assert rho.card.prediction == "flow"
        assert all(loss > 0 for loss in losses["loss"])


def test_with_a_clip_alone_the_token_is_learnt_inside(models, train):
    model, clip, vae = models["sd1"]
    _, losses = train(model, vae, picture(), clip=clip, steps=2)
    assert len(losses["loss"]) == 2


def test_a_text_encoder_that_was_loaded_anew_is_let_go_of_at_once(models, train, invert_text, no_collector):
    (model, _, vae), clip = models["sd1"], tiny.clip("sd1")
    loads = tiny.as_dynamic(clip.patcher, lambda: tiny.clip("sd1").patcher)
    condition, personalizer, _ = invert_text(model, clip, vae, picture(), steps=1)
    train(model, vae, picture(), conditioning=condition, personalizer=personalizer, refit_every=1, steps=2)
    assert [text() for text in loads] == [None, None]


def test_a_training_with_no_curve_to_plot_is_passed_over_by_the_stock_plot(host, models, train, invert_text):
    from comfy_execution.graph_utils import ExecutionBlocker

    model, clip, vae = models["sd1"]
    condition = tiny.conditioning("sd1")
    curves = [train(model, vae, picture(), conditioning=condition, steps=steps)[1] for steps in (0, 1)]
    curves.append(invert_text(model, clip, vae, picture(), steps=1)[2])
    plot = host.classes["LossGraphNode"]
    for curve in curves:
        assert isinstance(curve, ExecutionBlocker)
        assert curve.message is None
    drawn = train(model, vae, picture(), conditioning=condition, steps=2)[1]
    assert plot.PREPARE_CLASS_CLONE(None).execute(drawn, "loss_graph").ui


def test_a_lora_patched_model_is_trained_through_and_left_as_it_was(host, models, train):
    model, _, vae = models["sd1"]
    condition, patched = tiny.conditioning("sd1"), model.clone()
    key = "diffusion_model.input_blocks.0.0.weight"
    patched.add_patches({key: ("diff", (torch.ones(32, 4, 3, 3) * 0.1,))}, 1.0)
    before = ksample(host, patched, condition)
    rho, _ = train(patched, vae, picture(), conditioning=condition)
    assert torch.equal(ksample(host, patched, condition), before)
    plain, _ = train(model, vae, picture(), conditioning=condition)
    assert rho.card.model_hash != plain.card.model_hash


def test_the_same_seed_gives_the_same_rho_and_pictures_of_any_sizes_train_together(models, train):
    model, _, vae = models["sd1"]
    images = [picture(), picture(100, 64, seed=1), picture(64, 130, seed=2)]
    weights = [
        train(model, vae, images, conditioning=tiny.conditioning("sd1"), batch=2)[0].net.conv_out.weight
        for _ in range(2)
    ]
    assert torch.equal(*weights)


def test_an_interrupt_stops_within_one_evaluation_and_training_goes_on_where_it_was(host, models, train, monkeypatch):
    model, _, vae = models["sd1"]
    arguments = {"conditioning": tiny.conditioning("sd1"), "steps": 4, "seed": 77}
    whole, losses = train(model, vae, picture(), **arguments)
    unfinished = host.base / "user" / "ldu" / "unfinished"
    calls, denoiser = [], host.module("nodes.host").HostDenoiser
    evaluate = denoiser.__call__

    def cancelled_at_the_20th_evaluation(self, z, sigma):
        calls.append(1)
        if len(calls) == 20:
            mm.interrupt_current_processing()  # what the user's click does
        return evaluate(self, z, sigma)

    with monkeypatch.context() as patch:
        patch.setattr(denoiser, "__call__", cancelled_at_the_20th_evaluation)
        with pytest.raises(mm.InterruptProcessingException):
            train(model, vae, picture(), **arguments)
    assert len(calls) == 20
    assert len(list(unfinished.iterdir())) == 1
    assert not mm.in_training
    restarted = tiny.model("sd1")  # as after a restart of the host
    again, continued = train(restarted, vae, picture(), **arguments)
    assert continued["loss"] == losses["loss"]
    assert torch.equal(again.net.conv_out.weight, whole.net.conv_out.weight)
    assert not list(unfinished.iterdir())


def test_a_training_goes_on_with_a_word_that_was_learnt_again_and_has_other_last_bits(
    host, models, train, invert_text, monkeypatch
):
    model, clip, vae = models["sd1"]
    fitting, training = host.module("nodes.token_fitting"), host.module("ldu.train").ShiftTraining
    fit = fitting.fit_token

    def learnt(noise, **changes):
        monkeypatch.setattr(fitting, "fit_token", lambda *given, **more: fit(*given, **more) + noise)
        return invert_text(model, clip, vae, picture(), **changes)[0]

    first, again = learnt(0), learnt(1e-6)  # as a GPU's sums come out
    assert not torch.equal(first[0][0], again[0][0])
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", mm.interrupt_current_processing)
        with pytest.raises(mm.InterruptProcessingException):
            train(model, vae, picture(), conditioning=first, steps=11)
    resumed = []
    monkeypatch.setattr(training, "resume", lambda *_: resumed.append(1))
    changed = [[1.01 * first[0][0], first[0][1]]]
    for other in (changed, learnt(0, seed=1), learnt(0, steps=4), learnt(0, prompt="a drawing of S* person")):
        train(model, vae, picture(), conditioning=other, steps=1)
    assert not resumed
    train(model, vae, picture(), conditioning=again, steps=1)
    assert resumed
    shutil.rmtree(host.base / "user" / "ldu" / "unfinished", ignore_errors=True)


def test_a_cancelled_training_leaves_no_gradient_behind(host, models, train, monkeypatch):
    model, _, vae = models["sd1"]
    cancelled = []

    def cancel(training):
        cancelled.append(training)
        raise mm.InterruptProcessingException

    monkeypatch.setattr(host.module("ldu.train").ShiftTraining, "evaluate", cancel)  # after the tenth step
    with pytest.raises(mm.InterruptProcessingException):
        train(model, vae, picture(), conditioning=tiny.conditioning("sd1"), steps=10)
    assert all(weight.grad is None for weight in cancelled[0].rho.parameters())
    shutil.rmtree(host.base / "user" / "ldu" / "unfinished")


def test_a_learnt_word_can_go_to_the_hosts_own_lora_training(models, invert_text):
    model, clip, vae = models["sd1"]
    learnt = comfy.sampler_helpers.convert_cond(invert_text(model, clip, vae, picture())[0])
    (kept,) = comfy_extras.nodes_train.process_cond_list({"positive": learnt})["positive"]
    assert torch.equal(kept["cross_attn"], learnt[0]["cross_attn"])


class SavesItself:
    """A training, as far as keeping it goes."""

    def save(self, path):
        path.write_bytes(b"")


def test_of_trainings_that_nobody_goes_on_with_eight_are_kept_and_the_one_at_work_always(host, tmp_path):
    keep = host.module("nodes.training_run").keep
    for number in range(12):
        path = tmp_path / f"{number}.safetensors"
        assert keep(SavesItself(), path) == ""
        os.utime(path, (100 + number, 100 + number))
    assert {path.stem for path in tmp_path.iterdir()} == {str(number) for number in range(4, 12)}
    old = tmp_path / "old.safetensors"
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    broken = type("Broken", (), {"save": lambda self, path: os.utime(path, (1, 1))})()  # a clock that was set back
    assert keep(broken, old) == ""
    assert {path.stem for path in tmp_path.iterdir()} == {"old", *(str(number) for number in range(5, 12))}


@pytest.mark.parametrize(
    "change", [{"mask": [torch.ones(1, 64, 72)]}, {"learning_rate": 1e-4}, {"budget": 4.0}], ids=str
)
def test_an_interrupted_training_is_not_continued_with_other_inputs(host, models, train, monkeypatch, change):
    model, _, vae = models["sd1"]
    arguments = {"conditioning": tiny.conditioning("sd1"), "steps": 2, "seed": 78}
    training = host.module("ldu.train").ShiftTraining
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", mm.interrupt_current_processing)  # seen by the next evaluation's first op
        with pytest.raises(mm.InterruptProcessingException):
            train(model, vae, picture(), **{**arguments, "steps": 11})
    resumed = []
    monkeypatch.setattr(training, "resume", lambda *_: resumed.append(1))
    train(model, vae, picture(), **{**arguments, **change})
    assert not resumed
    train(model, vae, picture(), **arguments)
    assert resumed
    shutil.rmtree(host.base / "user" / "ldu" / "unfinished", ignore_errors=True)


def test_a_damaged_state_does_not_stand_in_the_way(host, models, train, monkeypatch):
    model, _, vae = models["sd1"]
    arguments = {"conditioning": tiny.conditioning("sd1"), "seed": 79}
    names = []
    module = host.module("nodes.training_run")
    path = module.state_path
    monkeypatch.setattr(module, "state_path", lambda training: names.append(path(training)) or names[-1])
    train(model, vae, picture(), **arguments)
    names[0].parent.mkdir(parents=True, exist_ok=True)
    names[0].write_bytes(b"torn")
    _, losses = train(model, vae, picture(), **arguments)
    assert len(losses["loss"]) == 3
    assert not names[0].exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_half_precision_model_gives_rho_the_gradient_of_the_full_one(train, dtype):
    vae, condition = tiny.vae("sd1"), tiny.conditioning("sd1")
    moved = []
    for kind in (torch.float32, dtype):
        start = train(tiny.model("sd1", dtype=kind), vae, picture(), conditioning=condition, steps=0)[
            0
        ].net.conv_out.weight
        end = train(tiny.model("sd1", dtype=kind), vae, picture(), conditioning=condition, steps=1)[
            0
        ].net.conv_out.weight
        moved.append((end - start).flatten())
    assert torch.cosine_similarity(*moved, dim=0) > 0.8


def test_one_training_after_the_other_computes_in_the_wide_range_that_a_half_precision_model_needs(host):
    model, vae, found = tiny.model("sd1", dtype=torch.float16), tiny.vae(), []
    for _ in range(3):
        with host.module("nodes.host").training_session(model, vae, (1, 4, 8, 8)) as (session, _):
            found.append(session.inner.get_dtype_inference())
    assert torch.float16 not in found


@pytest.mark.parametrize("size", [1.0, 1e-7])
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_slopes_of_any_size_come_through_a_half_precision_vae(host, way, size):
    session, found = host.module("nodes.host").encoding_session, []
    for dtype in (torch.float32, torch.float16):
        vae, model = tiny.vae(dtype=dtype), tiny.model("sd1")
        with session(model, vae, (1, 4, 8, 8)) as (_, coder):
            shape = (1, 3, 64, 64) if way == "encode" else (1, 4, 8, 8)
            given = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
            made = getattr(coder, way)(given)
            weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
            found.append(torch.autograd.grad((made * weights).sum() * size, given)[0].flatten() / size)
    assert torch.cosine_similarity(*found, dim=0) > 0.98
    assert found[1].norm().item() == pytest.approx(found[0].norm().item(), rel=0.05)


def test_a_finished_rho_is_on_disk_and_loads_again(host, models, train):
    model, _, vae = models["sd1"]
    rho, losses = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"), seed=5)
    newest = max((host.base / "output" / "ldu").glob("rho_*_3.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    loaded = host.classes["LDU_LoadRho"].execute(newest.name).args[0]
    assert torch.equal(loaded.net.conv_out.weight, rho.net.conv_out.weight)
    assert loaded.card.training["losses"] == losses["loss"]
    text, one = "a photo\nHere it held " + "x" * 5000, f"a photo Here it held {'x' * 979}..."
    boastful = replace(rho.card, prompt=text, model_hash=text, training={"a\nb": text, "n": 1})
    host.classes["LDU_SaveRho"].execute(replace(rho, card=boastful), "boastful")
    loaded = host.classes["LDU_LoadRho"].execute("boastful.safetensors")
    assert one in json.loads(json.dumps(loaded.ui))["text"][0]
    told = host.module("nodes.protection_settings").about_rho(loaded.args[0])
    assert told["prompt"] == told["training: a b"] == one
    assert not any("\n" in str(each) or len(str(each)) > 1100 for each in (*told, *told.values()))
    host.classes["LDU_SaveRho"].execute(rho, "mine")
    host.classes["LDU_SaveRho"].execute(rho, "mine")
    assert {"mine.safetensors", "mine_2.safetensors"} <= {
        file.name for file in (host.base / "output" / "ldu").iterdir()
    }


def test_load_rho_takes_the_newest_and_says_what_to_do_where_there_is_none(host, monkeypatch, tmp_path):
    import folder_paths

    load = host.classes["LDU_LoadRho"]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ldu", ([str(tmp_path)], {".safetensors"}))
    assert "run the workflow train_rho_on_folder first" in load.validate_inputs(file="newest")
    for age, name in enumerate(("new", "old")):
        file = tmp_path / f"{name}.safetensors"
        file.touch()
        os.utime(file, (1e9 - age, 1e9 - age))
    assert load.validate_inputs(file="newest") is True
    assert load.fingerprint_inputs("newest") == load.fingerprint_inputs("new.safetensors")
    assert load.fingerprint_inputs("newest") != load.fingerprint_inputs("old.safetensors")
    assert "'gone.safetensors'" in load.validate_inputs(file="gone.safetensors")


def test_training_continues_from_a_rho_and_leaves_the_given_one_alone(models, train):
    model, _, vae = models["sd1"]
    first, _ = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"))
    kept = first.net.conv_out.weight.clone()
    second, _ = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"), rho=first)
    assert torch.equal(first.net.conv_out.weight, kept)
    assert not torch.equal(second.net.conv_out.weight, kept)


def test_as_published_says_what_it_is_and_that_the_walk_is_not_the_papers(host, models, train, monkeypatch):
    model, _, vae = models["sd1"]
    said = []
    monkeypatch.setattr(host.module("nodes.estimate"), "say_on_node", said.append)
    rho, _ = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"), as_published=True, steps=1)
    assert "In the paper k is 4 and depth 1; here they are 2 and 0.5." in said[-1]
    assert "; as published, for a walk without record and one decode" in host.module("nodes.walk").say_trained_for(rho)
    ours, _ = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"), steps=1)
    assert "In the paper" not in said[-1]
    assert "as published" not in host.module("nodes.walk").say_trained_for(ours)


def test_the_mask_reaches_training(models, train, host):
    model, _, vae = models["sd1"]
    mask = torch.zeros(1, 64, 72)
    mask[:, :, :36] = 1
    rho, _ = train(model, vae, picture(), [mask], conditioning=tiny.conditioning("sd1"))
    everywhere, _ = train(model, vae, picture(), conditioning=tiny.conditioning("sd1"))
    assert not torch.equal(rho.net.conv_out.weight, everywhere.net.conv_out.weight)
    with pytest.raises(host.module("ldu.errors").LduError, match="0 everywhere"):
        train(model, vae, picture(), [mask * 0], conditioning=tiny.conditioning("sd1"))


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"control": object()}, "a ControlNet"),
        ({"hooks": object()}, "hooks"),
        ({"start_percent": 0.0, "end_percent": 0.5}, "a range of timesteps"),
        ({"strength": 0.0}, "a strength of 0"),
        ({"area": (8, 8, 0, 0), "mask": torch.ones(1, 8, 8)}, "an area and a mask"),
    ],
)
def test_a_condition_that_no_loss_holds_for_is_refused(host, models, train, errors, extra, named):
    model, _, vae = models["sd1"]
    (tensor, rest), *_ = tiny.conditioning("sd1")
    condition = [[tensor, {**rest, **extra}]]
    with pytest.raises(errors.UnsupportedModelError, match=f"also brings {named}"):
        train(model, vae, picture(), conditioning=condition)
    with pytest.raises(errors.UnsupportedModelError, match=f"also brings {named}"):
        host.classes["LDU_MeasureLoss"].execute(model, vae, condition, picture(), picture(), 4, 0)
    whole = [[tensor, {**rest, "start_percent": 0.0, "end_percent": 1.0}]]
    assert train(model, vae, picture(), conditioning=whole, steps=0)


def test_several_conditions_for_one_rho_are_refused(host, models, errors):
    with pytest.raises(errors.BadValueError, match="2 came as conditioning"):
        host.classes["LDU_TrainRho"].execute(image=[picture()], conditioning=[tiny.conditioning("sd1")] * 2)


def test_the_interval_of_several_pictures_is_that_of_their_draws(host, models):
    """All pictures meet the same draws: four copies of one tell no more than the one."""
    model, _, vae = models["sd1"]
    measure, given = host.classes["LDU_MeasureLoss"].execute, (model, vae, tiny.conditioning("sd1"))
    before, after = picture(), (picture() + 0.02).clamp(0, 1)
    one = measure(*given, before, after, 16, 0).args[1]
    four = measure(*given, before.repeat(4, 1, 1, 1), after.repeat(4, 1, 1, 1), 16, 0).args[1]
    assert four.interval == pytest.approx(one.interval, rel=0.05)


def test_masks_of_another_count_than_the_pictures_are_refused(models, train, errors):
    model, _, vae = models["sd1"]
    with pytest.raises(errors.MismatchError, match="2 masks for 1 pictures"):
        train(model, vae, picture(), [torch.ones(2, 64, 72)], conditioning=tiny.conditioning("sd1"))


def test_progress_and_a_preview_of_the_protected_picture_are_shown(models, train, monkeypatch):
    seen = []
    monkeypatch.setattr(
        comfy.utils.ProgressBar,
        "update_absolute",
        lambda _, value, total=None, preview=None: seen.append((value, total, preview)),
    )
    model, _, vae = models["sd1"]
    train(model, vae, picture(), conditioning=tiny.conditioning("sd1"))
    assert [value for value, total, _ in seen if total == 3] == [1, 2, 3]
    assert seen[-1][2][1].size == (72, 64)


def test_a_learnt_word_is_saved_only_on_request_and_the_stock_loader_reads_it(host, models, invert_text):
    model, clip, vae = models["sd1"]
    folder = host.base / "models" / "embeddings"
    before = set(folder.iterdir())  # of other tests
    invert_text(model, clip, vae, picture())
    assert set(folder.iterdir()) == before
    _, personalizer, _ = invert_text(model, clip, vae, picture(), save_as="somebody")
    saved = safetensors.torch.load_file(folder / "somebody.safetensors")
    assert torch.equal(saved["clip_l"], personalizer.token)
    error = host.module("ldu.errors").BadValueError
    with pytest.raises(error, match="already"):
        invert_text(model, clip, vae, picture(), save_as="somebody")
    with pytest.raises(error, match="plain name"):
        invert_text(model, clip, vae, picture(), save_as="../../somebody")
    (folder / "negative").mkdir()
    (folder / "negative" / "Easy.pt").touch()  # a prompt would find the new word in the old one's place
    with pytest.raises(error, match="already"):
        invert_text(model, clip, vae, picture(), save_as="easy")


def test_a_word_that_cannot_be_saved_is_not_lost(host, models, invert_text, monkeypatch):
    def full(*_):
        raise host.module("ldu.errors").BadFileError("No space left on the disk.")

    model, clip, vae = models["sd1"]
    said = []
    monkeypatch.setattr(host.module("nodes.personalization"), "write_safetensors", full)
    monkeypatch.setattr(host.module("nodes.personalization"), "report", lambda _, text: said.append(text))
    _, personalizer, _ = invert_text(model, clip, vae, picture(), save_as="nobody")
    assert personalizer.token.isfinite().all()
    assert said[0].endswith("The word was learnt, but not saved: No space left on the disk.")


def test_the_adversarys_loss_on_equal_pictures_is_equal(host, models):
    model, _, vae = models["sd1"]
    import json

    out = host.classes["LDU_MeasureLoss"].execute(model, vae, tiny.conditioning("sd1"), picture(), picture(), 4, 0)
    numbers = json.loads(out.ui["ldu"][0])
    assert numbers["loss_after"] == pytest.approx(numbers["loss_before"], rel=1e-6)
    assert numbers["loss_random"] == pytest.approx(numbers["loss_before"], rel=1e-6)
    assert numbers["nfe"] == {"evaluate": 12}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(1, 64, 64, 1)}, "RGB pictures"),
        ({"image": torch.zeros(1, 64, 64, 4)}, "RGB pictures"),
        ({"image": torch.zeros(1, 1, 1, 3)}, "at least 8 x 8"),
        ({"image": torch.zeros(0, 64, 64, 3)}, "one or more"),
        ({"image": []}, "list is empty"),
        ({"image": torch.full((1, 64, 64, 3), float("nan"))}, "infinite or not numbers"),
        ({"conditioning": None}, "something to train against"),
        ({"budget": 300.0}, "0 to 255"),
    ],
    ids=["grey", "rgba", "1x1", "empty", "no list", "nan", "no condition", "budget"],
)
def test_wrong_input_is_refused_in_one_sentence(host, models, train, change, message):
    model, _, vae = models["sd1"]
    inputs = {"image": picture(), "conditioning": tiny.conditioning("sd1"), **change}
    with pytest.raises(host.module("ldu.errors").LduError, match=message) as caught:
        train(model, vae, inputs.pop("image"), **inputs)
    assert "\n" not in str(caught.value)
