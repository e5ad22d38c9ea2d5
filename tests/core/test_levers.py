"""The study of levers on tiny random models: each lever does what its name says, and nothing is measured twice."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra eval")
pytest.importorskip("transformers", reason="needs the extra eval")

from benchmarks.baselines import METHODS, controls, surrogate
from benchmarks.decoy import in_the_place_of
from benchmarks.efficacy.general import untrained
from benchmarks.efficacy.lab import PRIOR
from benchmarks.efficacy.measures import Effect
from benchmarks.efficacy.ours import fresh_rho, refined
from benchmarks.efficacy.subjects import Person
from benchmarks.efficacy.visible import as_visible_as
from benchmarks.levers import field, grid, switches, tables
from benchmarks.levers import stolen as stolen_from
from benchmarks.levers.__main__ import asked_for
from benchmarks.levers.bench import QUICK, Bench
from benchmarks.levers.field import FIELD
from benchmarks.levers.measures import Judge
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
from benchmarks.levers.stolen import CLEAN, MET, Thieves
from benchmarks.levers.switches import DEFAULT, EACH_LEVEL, LEVERS, THEN_CONTRAST
from benchmarks.thieves import DEMO
from ldu.attacks.random_noise import noise_at_equal_psnr
from ldu.attacks.textual_inversion import InversionConfig
from ldu.budget import residual_levels, to_levels, to_pixels, to_working_size
from ldu.lagrangian import share_beyond
from ldu.losses import noise_prediction_loss
from ldu.protect import decode, shifted_walk
from ldu.published import plain_decode, without_record
from ldu.refine import RefineConfig
from ldu.train import ShiftTraining, thief_loss
from ldu.trajectory import denoise

from .tiny_world import make_world

SIDE = 64
BUDGET = QUICK.budget_levels


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers")
    checkpoint = folder / "weights"
    checkpoint.write_bytes(b"none")
    short = replace(DEMO["DreamBooth"], steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "INVERSION", InversionConfig(ti_steps=1))
        patch.setattr(switches, "LORA_STEPS", 4)
        patch.setattr(switches, "REFIT_STEPS", 4)
        patch.setattr(surrogate, "thief_of", lambda _: short)
        patch.setattr("benchmarks.baselines.anti_dreambooth.thief_of", lambda _: short)
        patch.setattr(field, "METHODS", {name: replace(METHODS[name], steps=2) for name in ("advdm", "fsmg")})
        made = Bench(checkpoint, folder, replace(QUICK, pictures=2, steps=6, alone=3, ti_steps=1, draws=2))
        made.world = make_world(SIDE)
        yield made


@pytest.fixture(scope="module")
def case(bench):
    return replace(bench._case(0), general=lambda: untrained(bench.world))


@pytest.fixture(scope="module")
def subject(case):
    return case.prepared()[0]


@pytest.fixture(scope="module")
def made(case):
    """Run each lever once, when it is first asked for."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = MET[name](replace(case, made=run))
        return done[name]

    return run


def weights(world):
    return [weight.clone() for net in (world.unet, world.vae, world.text) for weight in net.state_dict().values()]


@pytest.mark.parametrize("name", MET)
def test_every_lever_stays_within_the_budget_in_whole_levels_and_leaves_the_models_alone(name, case, made):
    before, budget = weights(case.world), FIELD[name].budget_levels if name in FIELD else BUDGET
    for photo, found in zip(case.photos, made(name), strict=True):
        assert torch.equal(found, found.round())
        assert (found - photo).abs().max() <= budget
        assert 0 <= found.min() <= found.max() <= 255
    assert all(torch.equal(*pair) for pair in zip(before, weights(case.world), strict=True))


@pytest.mark.parametrize("name", [name for name in LEVERS if name not in (DEFAULT, "no price")])
def test_every_lever_makes_something_else_than_the_default(name, made):
    assert not torch.equal(torch.cat(made(name)), torch.cat(made(DEFAULT)))


def test_a_free_shift_starts_at_0_and_each_of_its_values_learns(case, subject):
    rho = FreeShift(subject.record.z_T)
    assert not rho(subject.record.z_T, torch.ones(1)).any()
    ShiftTraining(case.surrogate, [subject], rho, case.config).step()
    assert rho.raw.grad.isfinite().all()
    assert (rho.raw.grad != 0).all()


def test_without_its_record_a_walk_goes_where_a_plain_sampler_goes(case, subject):
    models, record = case.surrogate, without_record(subject).record
    z_T = record.z_T + 0.1
    plain = denoise(models.walker, z_T, models.schedule, record.sigmas)
    assert torch.allclose(denoise(models.walker, z_T, models.schedule, record.sigmas, record=record), plain, atol=1e-4)
    kept = denoise(models.walker, z_T, models.schedule, record.sigmas, record=subject.record)
    assert not torch.allclose(kept, plain, atol=1e-2)


def test_a_shift_at_z_0_walks_nowhere(case, subject):
    changed = at_z_0(subject)
    rho = FreeShift(changed.record.z_T)
    torch.nn.init.normal_(rho.raw, std=0.1)
    generator = torch.Generator().manual_seed(0)
    z_0, shift = shifted_walk(case.surrogate, rho, changed.record, case.config, generator)
    assert torch.allclose(z_0, subject.record.z_0 + shift, atol=1e-6)


def test_a_plain_decode_publishes_the_decoded_picture(case, subject):
    decoded = decode(case.surrogate.autoencoder, subject.record.z_0)
    residual = residual_levels(plain_decode(subject).decoded_clean, decoded)
    assert torch.allclose(to_pixels(subject.working + residual), decoded, atol=1e-4)


def test_before_decoding_the_loss_reaches_every_weight_of_rho_past_decoder_and_encoder(case, subject):
    rho = fresh_rho(subject, 0)
    training = ShiftTraining(before_decoding(case.surrogate), [subject], rho, replace(case.config, price_rate=0.0))
    for _ in range(2):  # the first step only reaches the last convolution, which starts at zero
        training.step()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in rho.parameters())


def test_a_pull_brings_the_latent_of_the_file_nearer_to_that_of_the_target(case):
    like = to_pixels(case.prepared()[0].working)
    target = towards(case.surrogate, like).adversary.latent

    def distance(levels):
        return (case.surrogate.autoencoder.encode(to_pixels(to_working_size(levels, SIDE))) - target).square().mean()

    pulled = replace(case, config=replace(case.config, train_steps=40), photos=case.photos[:1])
    assert distance(LEVERS["targeted"](pulled)[0]) < distance(case.photos[0])


def test_towards_somebody_else_the_loss_under_their_prompt_falls_and_no_other_way(case):
    (photo, *_), world = case.photos, case.world
    decoy = world.denoiser(world.condition(["somebody else"]))
    theirs, config = replace(case.surrogate, adversary=decoy), RefineConfig(BUDGET, contrast=0, refine_steps=20)

    def loss_after(surrogate):
        return fmean(thief_loss(theirs, refined(surrogate, photo, photo, config), draws=16))

    assert loss_after(in_the_place_of(case.surrogate, decoy)) < fmean(thief_loss(theirs, photo, draws=16))
    assert loss_after(theirs) > fmean(thief_loss(theirs, photo, draws=16))


def test_a_normal_residual_meets_the_target_of_both_measures_at_once():
    residual = 5 * torch.randn(1, 3, 400, 400, generator=torch.Generator().manual_seed(0))
    assert share_beyond(residual, 10.0).item() == pytest.approx(beyond_when_normal(0.5), rel=0.05)


def test_a_shift_at_each_level_shifts_more_than_z_T_and_without_one_nothing_changes(case, subject):
    rho, record = fresh_rho(subject, 0), subject.record
    models = shifted_at_each_level(case.surrogate, rho, record.sigmas[0])

    def walked(surrogate):
        z_T = record.z_T + 0.1
        return denoise(surrogate.walker, z_T, surrogate.schedule, record.sigmas, record=record)

    assert torch.equal(walked(models), walked(case.surrogate))
    torch.nn.init.normal_(rho.conv_out.weight, std=0.1)
    assert not torch.allclose(walked(models), walked(case.surrogate), atol=1e-3)
    sigma = torch.full((1,), record.sigmas[0])
    assert torch.equal(models.walker(record.z_T, sigma), case.surrogate.walker(record.z_T, sigma))


def test_structure_counts_noise_as_the_rms_does_and_a_tint_as_less(case):
    working = case.photos[0]
    measure = Structure(working, BUDGET)
    noise = 5 * torch.randn(working.shape, generator=torch.Generator().manual_seed(1))
    assert measure(noise, BUDGET).item() == pytest.approx(0.5, rel=0.05)
    lost = [measure._lost(factor * noise).item() for factor in (0.5, 1, 2)]
    assert lost[0] < 0.8 * lost[1] < 0.8 * 0.8 * lost[2]
    tint = torch.full_like(working, 5.0)
    assert measure(tint, BUDGET) < 0.5 * measure(noise, BUDGET)
    still = torch.zeros_like(working, requires_grad=True)
    measure(still, BUDGET).backward()
    assert still.grad.isfinite().all()


def test_a_lora_learns_on_from_call_to_call_and_leaves_the_world_alone(case):
    before, latents = weights(case.world), [case.prepared()[0].record.z_0]
    personalizer = LearningLora(case.world, case.token, steps=8, seed=0)

    def loss(denoiser):
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            many = latents[0].expand(16, -1, -1, -1)
            return noise_prediction_loss(denoiser, many, case.world.schedule, generator=generator).mean().item()

    losses = [loss(case.surrogate.adversary), *(loss(personalizer(latents)) for _ in range(3))]
    assert losses == sorted(losses, reverse=True)
    assert not any(weight.requires_grad for weight in personalizer._weights)
    assert all(torch.equal(*pair) for pair in zip(before, weights(case.world), strict=True))


@pytest.fixture
def thieves(bench, case, monkeypatch):
    """Thieves of whom only what they are given counts."""
    given = []

    def effect(self, thief, published, person):
        given.append((thief, published))
        return Effect(0.5, 0.0, 1.0)

    monkeypatch.setattr(Thieves, "_effect", effect)
    at_work = Thieves(bench)
    stolen = to_pixels(torch.cat(case.photos))
    at_work._people[0] = Person("somebody", stolen, stolen, stolen, stolen)
    return at_work, given


def test_a_thief_gets_what_a_lever_made_as_visible_as_all_and_each_once(thieves, bench, case):
    at_work, given = thieves
    first = [at_work.run("LoRA", name, 0) for name in (CLEAN, "no price")]
    assert [at_work.run("LoRA", name, 0) for name in (CLEAN, "no price")] == first
    assert torch.equal(given[0][1], to_pixels(torch.cat(case.photos)))
    change = to_levels(given[1][1]) - torch.cat(case.photos)
    assert 0 < change.abs().max() <= BUDGET
    assert first[0]["psnr_db"] is None
    made = to_pixels(bench.made("no price", 0))
    wanted = as_visible_as(to_pixels(torch.cat(case.photos)), made, bench.settings.equal_db, BUDGET)
    assert not torch.equal(wanted, made)
    assert torch.equal(given[1][1], wanted)
    at_work.run("DreamBooth", CLEAN, 0)
    assert [thief for thief, _ in given] == ["LoRA", "LoRA", "DreamBooth"]


def test_dreambooths_prior_is_drawn_once_and_a_thief_may_be_cut_short(bench, case, monkeypatch):
    met, drawn = [], []

    def steal(world, sets, prior, thief, **how):
        met.append((thief.steps, len(prior)))
        return sets

    def draw(*of, **how):
        drawn.append(of)
        return torch.zeros(PRIOR, 3, SIDE, SIDE)

    monkeypatch.setattr(stolen_from, "steal", steal)
    monkeypatch.setattr(stolen_from, "prior_pictures", draw)
    monkeypatch.setattr(stolen_from.Judge, "effect", lambda *_: Effect(0.5, 0.0, 1.0))
    short = Bench(bench._checkpoint, bench.folder.parent, replace(bench.settings, thief_steps=3))
    short.world = case.world
    pictures = to_pixels(torch.cat(case.photos))
    for at_work in (Thieves(bench), Thieves(short)):
        at_work._people = {n: Person("somebody", *[pictures] * 4) for n in range(2)}
        for number in range(2):
            at_work._measured("DreamBooth", CLEAN, number)
    steps = DEMO["DreamBooth"].steps
    assert met == [(steps, PRIOR)] * 2 + [(3, PRIOR)] * 2
    assert len(drawn) == 2


@pytest.fixture(scope="module")
def judge(case):
    return Judge(case.surrogate, draws=8, equal_db=34.0)


def test_a_picture_that_did_not_change_gains_nothing(judge, case):
    found = judge.measure(case.photos[0], case.photos[0], BUDGET)
    assert (found.gain, found.over_noise, found.after_jpeg, found.used, found.psnr_db) == (0, 0, 0, 0, None)


def test_noise_gains_nothing_over_noise(judge, case):
    photo = case.photos[0]
    strong = photo + 8 * torch.randint(0, 2, photo.shape, generator=torch.Generator().manual_seed(5)) - 4
    noise = noise_at_equal_psnr(photo, strong.clamp(0, 255), generator=torch.Generator().manual_seed(0))
    found = judge.measure(photo, noise, 32.0)
    assert found.equal_db == pytest.approx(34, abs=0.2)
    assert abs(found.over_noise) < 1


def test_a_result_is_measured_once_and_read_again_by_another_run(bench, case):
    calls = []

    def lever(given):
        calls.append(given.config.k_steps)
        return [photo.clone() for photo in given.photos]

    first = bench.run("nothing", 0, lever, k_steps=3)
    again = Bench(bench._checkpoint, bench.folder.parent, bench.settings).run("nothing", 0, lever, k_steps=3)
    assert calls == [3]
    assert first == again


def test_results_of_other_settings_are_never_mixed_in(bench):
    other = Bench(bench._checkpoint, bench.folder.parent, replace(bench.settings, steps=7))
    assert other.folder != bench.folder


def test_each_cell_of_the_grid_is_measured_once_and_each_budget_has_its_default():
    cells = grid.cells()
    assert len(set(cells)) == len(cells) == len({cell.name for cell in cells})
    assert {cell.k_steps for cell in cells} == {1, 2, 4, 8, 16}
    assert all(grid.default(cell.budget_levels) in cells for cell in cells)


def result(person, gains):
    picture = {"max_levels": 9, "psnr_db": 34.0, "ssim": 0.9, "used": 0.5, "gain": 9.0, "equal_db": 34.0}
    cost = {"forwards": 4, "backwards": 2, "encodes": 1, "decodes": 1, "seconds": 1.0}
    pictures = [{**picture, "over_noise": gain, "after_jpeg": gain / 2} for gain in gains]
    return {"person": person, "pictures": pictures, "cost": cost, "cpu_seconds": 1.5}


def test_a_row_pairs_each_picture_with_the_defaults_and_leaves_out_people_whom_the_default_misses():
    defaults = [result(0, [1.0, 2.0]), result(2, [9.0, 9.0])]
    row = tables.lever_row("x", [result(0, [4.0, 5.0]), result(1, [50.0, 50.0])], defaults)
    found = dict(zip(tables.LEVER_HEAD[:9], row, strict=False))
    assert found["minus default [95 %]"] == "+3.0 [+3.0, +3.0]"
    assert found["at 34 dB over noise %"] == "+27.2"
    assert tables.lever_row("default", defaults, defaults)[8] == "-"


def stolen(person, identity):
    return {"person": person, "psnr_db": 26.0, "effect": {"identity": identity, "frechet": 80.0, "no_face": 0.25}}


def test_a_row_of_thieves_pairs_each_person_with_clean_pictures_and_with_the_default():
    clean, default = [stolen(0, 0.7), stolen(1, 0.6)], [stolen(0, 0.5)]
    row = tables.stolen_row("x", [stolen(0, 0.4), stolen(1, 0.3)], [result(0, [4.0, 6.0])], clean, default)
    found = dict(zip(tables.STOLEN_HEAD, row, strict=True))
    assert found["minus clean's [95 %]"] == "-0.30 [-0.30, -0.30]"
    assert found["minus default's [95 %]"] == "-0.10"
    assert (found["n"], found["loss over noise %"], found["no face %"]) == (2, "+5.0", "25")
    assert tables.stolen_row("clean pictures", clean, [], clean, default)[5] == "-"


def test_a_lever_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="no lever depth 9; there are default"):
        asked_for("default; depth 9")
    assert asked_for(THEN_CONTRAST) == [DEFAULT, EACH_LEVEL, THEN_CONTRAST]
    assert asked_for("word and LoRA, fitted again; no key; no key") == [
        DEFAULT,
        "word and LoRA, fitted again",
        "no key",
    ]


def test_a_change_that_cannot_be_made_visible_enough_says_so():
    faint = result(0, [1.0, 2.0])
    faint["pictures"][1]["equal_db"] = 41.0
    assert tables.lever_row("x", [faint], [])[7] == "+1.5 (41.0 dB)"
