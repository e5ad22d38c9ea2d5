"""The lab: its cells, its measures and its tables."""

import ast
import hashlib
import json
import math
import shutil
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights

pytest.importorskip("diffusers", reason="needs the extra eval")
pytest.importorskip("peft", reason="needs the extra eval")

from benchmarks import thieves
from benchmarks.baselines import Method
from benchmarks.baselines.cost import Cost
from benchmarks.efficacy import cells as plan
from benchmarks.efficacy import code, costs, curve, estimate, in_docs, order, perceptual, survival, targets, transferred
from benchmarks.efficacy import kept as ledger
from benchmarks.efficacy import lab as laboratory
from benchmarks.efficacy.__main__ import chosen, kept_suite
from benchmarks.efficacy.cells import CLEAN, Cell
from benchmarks.efficacy.general import TaughtByOthers
from benchmarks.efficacy.lab import KEPT, Lab, Setup, jobs, method_of, protections, to_bytes
from benchmarks.efficacy.measures import Effect, Judge
from benchmarks.efficacy.methods import METHODS, Protected, protect
from benchmarks.efficacy.page import GAP, HEAD_HEIGHT, draw_sheet
from benchmarks.efficacy.show import show_mixtures, show_repeats, show_sweep
from benchmarks.efficacy.subjects import drawn_people
from benchmarks.efficacy.tables import HEAD, MEASURES, judge_checks, read, self_checks, tables
from benchmarks.efficacy.visible import SCALES, STRONGEST, as_visible_as
from benchmarks.table import ROOT, processor
from benchmarks.world import World, load_world
from demo.pipeline import WEIGHTS
from demo.spoilt import draw_pattern
from demo.train_identity import to_batch
from ldu.budget import resize, to_levels, to_pixels, to_working_size
from ldu.metrics import max_abs_levels, psnr_db, ssim
from ldu.picture import save_png

from .tiny_world import make_world


@pytest.fixture(scope="module")
def judge():
    return Judge()


@pytest.fixture(scope="module")
def people():
    return list(drawn_people(2, use="tuning", first=40, seen=8))


def asked(**options):
    """Return what a command line asks for that names nothing else."""
    nothing = {"data": None, "methods": None, "thieves": None, "purifiers": None, "ssim": 0.0, "levels": 0.0}
    return SimpleNamespace(**nothing | options)


def test_the_cells_of_a_suite_differ_and_their_files_too():
    suites = (
        plan.quick(),
        plan.field(METHODS),
        plan.full(METHODS, ["none", "jpeg 75", "jpeg 75 + resize 0.5"], people=2),
        plan.purified(["none", "jpeg 75"], people=2),
        *(suite(2) for suite in plan.OF_FEW.values()),
        plan.tuned(),
        chosen(plan.full(METHODS, ["none"], people=2), asked(suite="full", levels=10.0)),
    )
    for cells in suites:
        assert len({cell.name for cell in cells}) == len(set(cells)) == len(cells)


def test_others_whom_room_serves_are_measured_with_that_of_ours_too():
    found = {(cell.method, cell.budget_levels, cell.psnr_db) for cell in plan.field(METHODS, people=1)}
    assert {(method, room, 26.0) for method in plan.WIDE for room in (16.0, 32.0)} <= found


def test_every_method_of_the_suites_exists():
    cells = [*plan.quick(), *plan.full(METHODS, ["none"], people=1)]
    assert {cell.method for cell in cells} == {CLEAN, *METHODS}


def test_the_field_with_more_steps_or_more_room_is_the_field():
    longer = {cell.method for cell in plan.tuned() if cell.method.endswith(plan.LONGER)}
    assert longer == {name + plan.LONGER for name in plan.FIELD}
    assert {cell.method for cell in plan.tuned() if cell.budget_levels == 32} == {"ldu_protect", *plan.FIELD}
    for name in longer:
        usual, more = METHODS[name.removesuffix(plan.LONGER)], method_of(name)
        assert more == replace(usual, steps=3 * usual.steps)
        assert code.of_method(name) == code.of_method(name.removesuffix(plan.LONGER))


def test_a_command_takes_of_a_suite_what_it_names_and_refuses_what_is_not_there():
    cells = plan.field(["advdm", "aspl"])
    options = SimpleNamespace(
        suite="field", data=None, methods="aspl", thieves="LoRA", purifiers=None, ssim=0.0, levels=0.0
    )
    assert {(cell.method, cell.thief) for cell in chosen(cells, options)} == {(CLEAN, "LoRA"), ("aspl", "LoRA")}
    for name, suite in plan.OF_FEW.items():
        thief = {"mismatch": "DreamBooth, mismatch", "words": "TI x4, mismatch"}.get(name, "DreamBooth")
        asked_for = asked(suite=name, methods="ldu_protect", thieves=thief)
        assert {cell.method for cell in chosen(suite(2), asked_for)} == {CLEAN, "ldu_protect"}
    options.methods = "aspl,apsl"
    with pytest.raises(SystemExit, match=r"^Suite field has no method apsl; it has advdm, aspl, clean\.$"):
        chosen(cells, options)


def test_people_of_the_tables_are_never_tuned_on():
    (table,), (tuning,) = (list(drawn_people(1, use=use, seen=2)) for use in ("table", "tuning"))
    assert not torch.equal(table.stolen, tuning.stolen)


def test_the_sets_of_a_person_share_no_photo(people):
    photos = torch.cat([people[0].reference, people[0].stolen, people[0].clean])
    assert len({photo.numpy().tobytes() for photo in photos}) == len(photos) == 12


def test_an_unprotected_picture_scores_as_the_person_and_a_grey_one_or_another_person_does_not(judge, people):
    one, other = people
    own, grey = judge.effect(one.stolen, one.seen), judge.effect(torch.zeros_like(one.stolen), one.seen)
    stranger = judge.effect(other.stolen, one.seen)
    assert own.identity > 0.7
    assert max(grey.identity, stranger.identity) < 0.4
    assert own.frechet < stranger.frechet < grey.frechet


def test_the_detector_finds_faces_on_portraits_and_none_on_patterns(judge, people):
    patterns = [draw_pattern(np.random.default_rng(seed), 128)[0] for seed in range(20)]
    portraits = torch.cat([person.seen for person in people])
    assert judge.faces(portraits).all()
    assert not judge.faces(to_batch((np.stack(patterns) * 255).round().astype(np.uint8))).any()


@pytest.mark.parametrize("levels", [3, 10])
@pytest.mark.parametrize("wanted", [32.0, 36.0, 40.0])
def test_a_protection_is_scaled_to_the_wanted_visibility_within_its_budget_and_on_whole_levels(people, wanted, levels):
    x = people[0].stolen
    sign = torch.randint(0, 2, x.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = to_levels(as_visible_as(x, (x + sign * levels / 127.5).clamp(-1, 1), wanted, 10))
    assert psnr_db(to_levels(x), found) == pytest.approx(wanted, abs=0.3)
    assert max_abs_levels(to_levels(x).round(), found.round()) <= 10
    assert (found - found.round()).abs().max() < 1e-3


def test_a_protection_is_scaled_to_the_wanted_ssim(people):
    x, generator = people[0].stolen, torch.Generator().manual_seed(0)
    noisy = (x + 0.05 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)
    for wanted in (0.95, 0.7):
        found = to_levels(as_visible_as(x, noisy, wanted, 40, SCALES["SSIM"]))
        assert ssim(to_levels(x), found) == pytest.approx(wanted, abs=0.002)


def test_at_equal_ssim_cells_keep_all_but_their_psnr():
    cells = plan.field(METHODS, people=1)
    similar = plan.at_equal_ssim(cells, 0.7)
    for before, after in zip(cells, similar, strict=True):
        if before.method == CLEAN:
            assert after == before
        else:
            assert replace(after, ssim=0.0, psnr_db=plan.EQUAL[1]) == before
            assert after.name != before.name


def test_at_an_equal_budget_every_method_has_it_and_is_left_as_visible_as_it_is():
    cells = plan.at_equal_budget(plan.field(METHODS, people=1), 10)
    assert {(cell.budget_levels, cell.psnr_db) for cell in cells if cell.method != CLEAN} == {(10, 0)}
    assert {cell.visibility for cell in cells if cell.method != CLEAN} == {("budget", 10)}
    assert {cell.budget_levels for cell in cells if cell.method == CLEAN} == {0}


def test_no_protection_stays_none_and_a_faint_one_is_not_blown_up_without_end(people):
    x = people[0].stolen
    assert torch.equal(as_visible_as(x, x, 34.0, 10), x)
    faint = x.clone()
    faint[:, :, :8, :8] = (to_levels(faint[:, :, :8, :8]) + 1).clamp(0, 255) / 127.5 - 1
    assert max_abs_levels(to_levels(x), to_levels(as_visible_as(x, faint, 34.0, 10)).round()) <= STRONGEST


def test_token_thieves_learn_many_cells_at_once_and_others_one_by_one():
    tokens = [Cell("TI x4", CLEAN, 0.0, person=person) for person in range(12)]
    pieces = jobs([*plan.quick(), *tokens], at_once=8)
    assert sorted(cell for piece in pieces for cell in piece) == sorted([*plan.quick(), *tokens])
    assert {len(piece) for piece in pieces if piece[0].thief == "TI x4"} == {8, 4}
    assert {len(piece) for piece in pieces if piece[0].thief != "TI x4"} == {1}


def test_every_person_of_a_batch_learns_from_all_noise_levels(monkeypatch):
    world, generator, asked = load_world(WEIGHTS), torch.Generator().manual_seed(0), []

    class Denoiser:
        def __call__(self, z, sigma):
            asked.append(sigma)
            return z

    monkeypatch.setattr(World, "denoiser", lambda self, condition: Denoiser())
    for _ in range(200):
        thieves._loss(world, None, torch.zeros(4, 4, 2, 2), thieves.DEMO["TI"], generator, [2, 2])
    first, second = torch.stack(asked).log().unflatten(1, (2, 2)).mean((0, 2))
    assert abs(first - second) < 0.3  # they lie 4 apart where the batch as a whole is spread over the noise levels


def test_prompt_tuning_learns_what_the_unet_reads_and_leaves_the_model_as_it_is():
    world, thief = make_world(32), thieves.Thief("Prompt tuning", 40, 5e-2)
    before = {name: weight.clone() for name, weight in world.unet.state_dict().items()}
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    learnt = thieves.prompt_tuning(world, x, thief, generator=torch.Generator().manual_seed(0))
    start = world.condition([thief.prompt.replace("S*", thief.initial)])
    assert learnt.shape == start.shape
    z_0 = world.encode(x)
    under = [
        thieves._loss(world, each.expand(2, -1, -1), z_0, thief, torch.Generator().manual_seed(2), [2]).mean()
        for each in (learnt, start)
    ]
    assert under[0] < under[1]
    assert all(torch.equal(weight, before[name]) for name, weight in world.unet.state_dict().items())


def test_a_thief_of_the_second_setting_differs_in_all_that_a_protection_may_count_on():
    for demo in (True, False):
        found = thieves.thieves_for(demo=demo)
        for name in ("TI", "TI x4", "Prompt tuning", "DreamBooth", "LoRA"):
            own, other = asdict(found[name]), asdict(found[f"{name}, mismatch"])
            assert {key for key in own if own[key] != other[key]} == set(thieves.MISMATCH)


def test_a_thief_of_the_third_setting_differs_in_the_model_alone():
    for demo in (True, False):
        found = thieves.thieves_for(demo=demo)
        for name in ("TI", "TI x4", "Prompt tuning", "DreamBooth", "LoRA"):
            assert found[name + thieves.ELSEWHERE] == replace(found[name], elsewhere=True)


def test_every_thief_of_the_suites_exists():
    cells = [*plan.quick(), *plan.row(), *plan.transfer(), *plan.full(METHODS, ["none"], people=1)]
    assert {cell.thief for cell in cells} <= set(thieves.thieves_for(demo=True))


def test_a_thief_who_crops_enlarges_the_middle(people):
    world, x = load_world(WEIGHTS), people[0].stolen
    cropped = replace(thieves.DEMO["LoRA"], crop=0.5)
    middle = resize(x[..., 32:96, 32:96], 128, 128)
    assert torch.equal(thieves._latents(world, x, cropped), world.encode(middle))
    assert torch.equal(thieves._latents(world, x, thieves.DEMO["LoRA"]), world.encode(x))


def test_a_protection_is_made_once_however_many_cells_need_it():
    assert len(protections(plan.quick())) == 10


@pytest.fixture
def lab(tmp_path, monkeypatch, judge):
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "kept")
    made = Lab(Setup(WEIGHTS, tmp_path / "efficacy"))
    made.judge = judge  # another one would draw the same people again
    return made


COSTS = (*costs.EVALUATIONS, "seconds")


def write(lab, cell, identity, frechet=10.0, evaluations=0):
    found = {
        "cell": asdict(cell),
        "visibility": {"max_abs_levels": 10, "psnr_db": 34.0, "ssim": 0.9},
        "effect": {"identity": identity, "no_face": 0.25, "frechet": frechet},
        "cost": None if cell.method == CLEAN else {of: evaluations * (of == "forwards") for of in COSTS},
        "once": dict.fromkeys(COSTS, 48),
        "made": {"commit": "abc1234", "day": "2026-01-01", "machine": "a machine"},
    }
    lab.path(cell).write_text(json.dumps(found))


def test_what_a_thief_and_the_measures_see_is_read_from_png_files(lab, monkeypatch):
    class Somebody:
        stolen = to_pixels(torch.randint(40, 215, (2, 3, 24, 16), generator=torch.Generator().manual_seed(0)).float())

    protected = to_pixels((to_levels(Somebody.stolen) + 3).round())
    cell = Cell("LoRA", "noise_sign", 10.0)
    monkeypatch.setattr(lab, "person", lambda number: Somebody)
    monkeypatch.setattr(lab, "protected", lambda *of: Protected(protected, Cost(0, 0, 0, 0, 0)))
    assert torch.equal(lab.published(cell), protected)

    def paint_a_row(path, levels):
        save_png(path, levels.index_fill(0, torch.tensor([0]), 255))

    monkeypatch.setattr(laboratory, "save_png", paint_a_row)
    found = to_levels(lab.published(cell))
    assert (found[:, :, 0] == 255).all()
    assert torch.equal(found[:, :, 1:], to_levels(protected)[:, :, 1:])


def test_a_result_says_where_bfloat16_was_emulated(lab, monkeypatch):
    cell, drawn = Cell("LoRA", CLEAN, 0.0), torch.zeros(2, 3, 128, 128)
    for fast, machine in ((True, processor()), (False, f"{processor()} with emulated bfloat16")):
        monkeypatch.setattr(laboratory, "bfloat16_is_fast", lambda device, fast=fast: fast)
        lab._write(cell, lab.published(cell), drawn, 1.0)
        assert lab.found(cell)["made"]["machine"] == machine


@pytest.mark.parametrize("ours", plan.OURS)
def test_a_table_shows_means_and_paired_differences_to_one_of_ours(lab, ours):
    cells = [Cell("TI", method, 10.0, 34.0, person=person) for method in (ours, "advdm") for person in range(3)]
    for cell in cells:
        rival = cell.method == "advdm"
        write(lab, cell, 0.1 * cell.person + (0.2 if rival else 0.1), frechet=10 if rival else 15)
    ((title, rows),) = tables(read(lab, cells), ours)
    assert title == "TI, purifier: none"
    rival = dict(zip(HEAD, next(row for row in rows if row[0].startswith("advdm")), strict=True))
    assert rival["identity (low = protected)"].startswith("0.30 ")
    assert rival["identity minus ours"] == "0.10 [0.10, 0.10]"
    assert rival["Fréchet minus ours"] == "-5 [-5, -5]"
    assert rival["no face %"] == "25"


def test_methods_of_one_psnr_are_compared_whatever_their_budgets(lab):
    cells = [Cell("TI", method, *plan.at_equal_psnr(method)) for method in ("ldu_slope", "advdm")]
    assert cells[0].budget_levels != cells[1].budget_levels
    for cell, identity in zip(cells, (0.4, 0.6), strict=True):
        write(lab, cell, identity)
    ((_, rows),) = tables(read(lab, cells), "ldu_slope")
    rival = dict(zip(HEAD, next(row for row in rows if row[0].startswith("advdm")), strict=True))
    assert rival["identity minus ours"] == "0.20"


def test_one_method_at_two_visibilities_has_two_labels():
    cells = Cell("TI", "advdm", 16.0, 26.0), Cell("TI", "advdm", 32.0, 26.0), Cell("TI", CLEAN, 0.0)
    assert [cell.label for cell in cells] == ["advdm 16 at 26 dB", "advdm 32 at 26 dB", "clean"]


def test_the_slope_keeps_the_psnr_that_methods_are_compared_at():
    budget_levels, psnr_db = plan.at_equal_psnr("ldu_slope")
    reach = METHODS["ldu_slope"].protect.config.visibility * budget_levels
    assert 20 * math.log10(255 / reach) == pytest.approx(psnr_db, abs=0.05)


def test_cells_with_a_result_are_not_run_again(lab):
    cells = [Cell("TI", "ldu", 10.0, person=person) for person in range(3)]
    write(lab, cells[1], 0.3)
    assert lab.missing(cells) == [cells[0], cells[2]]


def test_what_is_kept_with_the_code_is_not_run_again_and_gives_way_to_what_is_measured_here(lab):
    ours, clean = Cell("TI", "ldu", 10.0), Cell("TI", CLEAN, 0.0)
    for cell, identity in ((ours, 0.3), (clean, 0.6)):
        write(lab, cell, identity)
    assert ledger.keep(lab.setup.results.name, {lab.path(ours).stem: lab.found(ours)}) == 1
    elsewhere = Lab(replace(lab.setup, folder=lab.setup.folder / "elsewhere"))
    assert elsewhere.missing([ours, clean]) == [clean]
    assert Lab(replace(elsewhere.setup, kept=False)).missing([ours, clean]) == [ours, clean]
    (result,) = read(elsewhere, [ours, clean])
    assert (result.identity, elsewhere.pictures(ours)) == (0.3, None)
    assert ledger.origins([result.found]) == ["cells: 1 of commit abc1234, 2026-01-01, a machine"]
    write(elsewhere, ours, 0.4)
    assert read(elsewhere, [ours])[0].identity == 0.4


def test_what_is_kept_of_former_code_is_not_read(lab, monkeypatch):
    cell = Cell("TI", "advdm", 10.0)
    write(lab, cell, 0.3)
    ledger.keep(lab.setup.results.name, {lab.path(cell).stem: lab.found(cell)})
    lab.path(cell).unlink()
    assert lab.missing([cell]) == []
    monkeypatch.setattr(code, "FIELD", ("ldu/budget.py",))
    assert lab.missing([cell]) == [cell]


def test_results_of_other_settings_are_never_mixed_in(lab):
    setup = lab.setup
    others = [replace(setup, seed=1), replace(setup, use="tuning"), replace(setup, bf16=False)]
    assert len({each.results for each in (setup, *others)}) == 4


def test_a_result_outlives_a_comment_and_a_docstring_but_no_change_of_the_code(tmp_path):
    def digest(text):
        (tmp_path / "method.py").write_text(text)
        return code.digest_of.__wrapped__(("method.py",), tmp_path)

    assert digest("rate = 1\n") == digest("# slow\nrate   = 1\n") != digest("rate = 2\n")
    assert digest('"""Slow."""\nrate = 1\n') == digest("rate = 1\n") != digest("rate = '1'\n")


def test_what_a_method_made_is_named_after_its_code_and_clean_results_are_not(lab, monkeypatch):
    cells = Cell("TI", "ldu", 10.0), Cell("TI", "z0_control", 10.0), Cell("TI", "advdm", 10.0), Cell("TI", CLEAN, 0.0)
    before = [lab.path(cell) for cell in cells]
    monkeypatch.setattr(code, "OURS", ("ldu/budget.py",))
    assert [lab.path(cell) != path for cell, path in zip(cells, before, strict=True)] == [True, True, False, False]
    monkeypatch.setattr(code, "FIELD", ("ldu/budget.py",))
    assert [lab.path(cell) != path for cell, path in zip(cells, before, strict=True)] == [True, True, True, False]


def test_a_file_that_lies_beside_counts_where_it_is_named_and_not_where_its_folder_is():
    published = ROOT / "ldu" / "published.py"
    assert published not in code._files(("ldu",), ROOT)
    assert code._files(("ldu", "ldu/published.py"), ROOT).count(published) == 1


def test_settings_of_one_method_are_no_part_of_anothers_digest(tmp_path):
    def digests(text):
        file = tmp_path / code.SETTINGS
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return [code.digest_of.__wrapped__((), tmp_path, method=name) for name in ("ldu", "ldu_protect")]

    called = "\ndef protect():\n    return 1"
    before = digests('METHODS = {"ldu": Method(Shift(), 25), "ldu_protect": Method(Refined(), 25)}' + called)
    after = digests(
        'METHODS = {"ldu": Method(Shift(), 25), "ldu_new": 1, "ldu_protect": Method(Refined(), 50)}' + called
    )
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]
    other = digests('METHODS = {"ldu": Method(Shift(), 25), "ldu_protect": Method(Refined(), 25)}' + called + "0")
    assert not set(other) & set(before)  # all are called by it
    with pytest.raises(KeyError, match="has no settings of ldu_protect"):
        digests('METHODS = {"ldu": Method(Shift(), 25)}')


def test_what_was_purified_in_pixels_is_named_after_the_model_that_did_it(lab, monkeypatch):
    cells = [Cell("TI", CLEAN, 0.0, purifier=purifier) for purifier in ("jpeg 75", "gridpure 20", "upscale 0.1")]
    before = [lab.path(cell) for cell in cells]
    monkeypatch.setattr("benchmarks.efficacy.lab._pixel_digest", lambda: "another")
    assert [lab.path(cell) != path for cell, path in zip(cells, before, strict=True)] == [False, True, True]


def test_a_thief_with_another_model_steals_on_that_model(lab, people, monkeypatch):
    seen = {}

    def steal(world, sets, prior, thief, **_):
        seen[thief.elsewhere] = world
        return torch.zeros(len(sets), 2, 3, 128, 128)

    def prior_pictures(world, thief, count, **_):
        assert world is (lab.elsewhere if thief.elsewhere else lab.world)
        return torch.zeros(count, 3, 128, 128)

    monkeypatch.setattr("benchmarks.efficacy.lab.steal", steal)
    monkeypatch.setattr("benchmarks.efficacy.lab.prior_pictures", prior_pictures)
    monkeypatch.setitem(lab._people, 0, people[0])
    for thief in ("DreamBooth", "DreamBooth" + thieves.ELSEWHERE):
        lab.run([Cell(thief, CLEAN, 0.0)])
    assert (seen[False], seen[True]) == (lab.world, lab.elsewhere)
    x = people[0].stolen
    one, other = (world.decode(world.encode(x)) for world in (lab.world, lab.elsewhere))
    assert min(psnr_db(to_levels(x), to_levels(found)) for found in (one, other)) > 24
    assert not torch.allclose(lab.world.encode(x), lab.elsewhere.encode(x), atol=0.5)


def test_what_was_stolen_on_another_model_is_named_after_it(lab, monkeypatch, tmp_path):
    cells = Cell("LoRA", CLEAN, 0.0), Cell("LoRA" + thieves.ELSEWHERE, CLEAN, 0.0)
    before = [lab.path(cell) for cell in cells]
    (tmp_path / "other.safetensors").write_bytes(b"other")
    lab.setup = replace(lab.setup, other=tmp_path / "other.safetensors")
    assert [lab.path(cell) != path for cell, path in zip(cells, before, strict=True)] == [False, True]


def test_a_real_checkpoint_brings_no_other_model(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "real.safetensors")
    lab = Lab(Setup(tmp_path / "real.safetensors", tmp_path))
    with pytest.raises(ValueError, match="--other FILE"):
        _ = lab.elsewhere


def test_what_is_kept_on_another_model_is_counted_beside_clean_pictures_stolen_there(lab):
    found = {"": {CLEAN: (0.7, 50), "advdm": (0.3, 110)}, thieves.ELSEWHERE: {CLEAN: (0.5, 60), "advdm": (0.4, 80)}}
    cells = [cell for cell in plan.transfer(3) if cell.method in (CLEAN, "advdm") and cell.thief.startswith("LoRA")]
    for cell in cells:
        write(lab, cell, *found[cell.thief.removeprefix("LoRA")][cell.method])
    identity, frechet = (dict(zip(transferred.HEAD, row, strict=True)) for row in transferred.rows(read(lab, cells)))
    assert (identity["thief"], identity["method"], identity["n"]) == ("LoRA", "advdm 16 at 26 dB", "3")
    assert identity["the model that it knew"] == "0.40 [0.40, 0.40]"
    assert identity["another model"] == "0.10 [0.10, 0.10]"
    assert identity["another minus half of the known"] == "-0.10 [-0.10, -0.10]"
    assert frechet["another minus half of the known"] == "-10 [-10, -10]"


def test_pixel_purifiers_work_on_pictures_of_the_demo_worlds_size(lab, people):
    cell = Cell("LoRA", CLEAN, 0.0, purifier="gridpure 1 1")
    x = people[0].stolen[:1]
    loot = lab.loot(cell, x)
    assert loot.shape == x.shape
    assert 20 < psnr_db(to_levels(x), to_levels(loot)) < 60


def test_what_decides_results_and_is_not_in_their_names_is_what_it_was_when_they_were_kept():
    """Whoever changes it measures the kept results anew, or shows that they come out the same, and then this."""
    code_of = ("demo/identity.py", "demo/spoilt.py", "demo/train_unet.py", "demo/train_identity.py")
    assert code.digest_of(code_of) == "d3a0c4d6"
    judge = (ROOT / "demo" / "weights" / "identity.safetensors").read_bytes()
    assert hashlib.sha256(judge).hexdigest()[:16] == "cf4dbc6c6f0c086f"


def test_all_of_ours_that_a_method_of_the_field_imports_counts_as_its_code():
    used = set()
    for file in (ROOT / "benchmarks" / "baselines").glob("*.py"):
        if file.name not in {"controls.py", "__main__.py"}:
            imported = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
            used |= {f"{node.module.replace('.', '/')}.py" for node in imported}
    used -= {f"benchmarks/baselines/{file.name}" for file in (ROOT / "benchmarks" / "baselines").glob("*.py")}
    assert "benchmarks/world.py" in used
    assert {name for name in used if (ROOT / name).exists()} - {"ldu/model.py"} <= set(code.FIELD)


def test_the_sweep_tells_of_each_thief_what_is_left_beside_clean_pictures_that_were_purified_too(lab, tmp_path, capsys):
    cells = [cell for cell in plan.sweep(2) if cell.method in (CLEAN, "advdm")]
    for cell in cells:
        step, lost = curve.timestep(cell.purifier), 0.2 if cell.thief == "LoRA" else 0.4
        found = (0.5, 40) if cell.method == CLEAN else (lost + step / 1000, 100 - step / 5)
        write(lab, cell, *found)
    results = read(lab, cells)
    of_lora = [r for r in results if r.cell.thief == "LoRA" and "pixel" not in r.cell.purifier]
    identity, frechet = (dict(zip(curve.HEAD, row, strict=True)) for row in curve.effect_rows(of_lora))
    assert identity["not purified"] == "0.30 [0.30, 0.30]"
    assert identity["DiffPure 250"] == "0.05 [0.05, 0.05]"
    assert frechet["DiffPure 150"] == "30 [30, 30]"
    assert curve.draw_sweep(of_lora).size == curve.SIZE
    show_sweep(results, tmp_path)
    printed = capsys.readouterr().out
    assert "0.30 [0.30, 0.30]" in printed
    assert "0.10 [0.10, 0.10]" in printed
    assert sorted(file.name for file in tmp_path.glob("*.png")) == sorted(
        f"{purifier}_{thief}.png" for purifier, thief in product(plan.SWEPT, plan.FINE_TUNED)
    )


def purified(lab, found, method="advdm"):
    """Write results of (purifier, person): identity of clean pictures, another method and ours; return them read."""
    cells = []
    for (purifier, person), identities in found.items():
        for name, identity in zip((CLEAN, method, "ldu"), identities, strict=True):
            cells.append(Cell("LoRA", name, 0.0 if name == CLEAN else 10.0, purifier=purifier, person=person))
            write(lab, cells[-1], identity)
    return read(lab, cells)


def test_the_worst_case_is_each_persons_own_worst_purifier_and_each_methods_own(lab):
    found = {("none", 0): (0.7, 0.4, 0.1), ("jpeg 75", 0): (0.6, 0.5, 0.3), ("none", 1): (0.8, 0.7, 0.4)}
    results = purified(lab, found | {("jpeg 75", 1): (0.9, 0.2, 0.2)})
    (row,) = (dict(zip(survival.WORST_HEAD, each, strict=True)) for each in survival.worst_rows(results, "ldu"))
    assert [row[name] for name in ("other", "purifiers and none", "n")] == ["advdm 10", "2", "2"]
    assert row["ours after"] == "jpeg 75, none"
    assert [row[f"identity: {of}"] for of in ("clean", "other", "ours")] == ["0.80", "0.60", "0.35"]
    assert row["identity: other minus ours"].startswith("0.25 ")


def test_a_method_that_met_no_purifier_has_no_worst_case_and_no_verdict(lab):
    results = purified(lab, {("none", 0): (0.7, 0.4, 0.1), ("none", 1): (0.7, 0.4, 0.1)})
    assert list(survival.worst_rows(results, "ldu")) == list(survival.verdicts(results, "ldu")) == []


def test_a_target_is_reached_missed_or_not_measured(lab, monkeypatch):
    monkeypatch.setattr(targets, "RIVALS", frozenset({"advdm"}))
    monkeypatch.setattr(targets, "PURIFIERS", 2)

    def reached(found):
        rows = [dict(zip(targets.HEAD, row, strict=True)) for row in targets.rows(purified(lab, found), "ldu")]
        return {row["asked of ours"]: (row["measured"], row["reached"]) for row in rows if row["by"] != "Fréchet"}

    lead = {("none", person): (0.7, 0.5, 0.3 + person / 100) for person in (0, 1)}
    found = reached(lead)
    assert found.pop("leads all others (ldu 10)") == ("leads 1 of 1", "yes")
    assert {verdict for _, verdict in found.values()} == {"not measured"}
    assert "leads all others (ldu 8)" in found
    assert len(found) == 7
    monkeypatch.setattr(targets, "RIVALS", frozenset({"advdm", "mist"}))
    assert reached(lead)["leads all others (ldu 10)"] == ("leads 1 of 1; not measured: mist", "not measured")
    monkeypatch.setattr(targets, "BUDGETS", ())
    assert "leads all others (ldu 10)" not in reached(lead)  # equal budgets are no equal visibility
    monkeypatch.setattr(targets, "BUDGETS", (10.0,))

    half = {("diffpure 150", person): (0.6, 0.5, 0.3 + person / 100) for person in (0, 1)}
    found = reached(lead | half)
    said, verdict = found["half of the effect after DiffPure 150 (ldu 10)"]
    assert said.startswith("0.39 [0.39, 0.40], then 0.29 [0.29, 0.30]; beyond 50% of it 0.10 ")
    assert verdict == "yes"
    assert found["leads or ties advdm 10 after 2 purifiers"][1] == "not measured"
    said, verdict = found["the worst without a purifier and after 1 of them, better than advdm 10's"]
    assert (said[:24], verdict) == ("ours 0.30, it 0.50, diff", "not measured")
    jpeg = {("jpeg 75", person): (0.7, 0.5, 0.3) for person in (0, 1)}
    assert (
        reached(lead | half | jpeg)["the worst without a purifier and after 2 of them, better than advdm 10's"][1]
        == "yes"
    )

    lost = {("diffpure 150", person): (0.6, 0.4, 0.6) for person in (0, 1)}
    jpeg = {("jpeg 75", person): (0.7, 0.5 + person / 5, 0.6) for person in (0, 1)}
    found = reached(lead | lost | jpeg)
    assert found["half of the effect after DiffPure 150 (ldu 10)"][1] == "no"
    said = "leads after 0, ties after 1, trails after 1"
    assert found["leads or ties advdm 10 after 2 purifiers"] == (said, "no")
    assert found["the worst without a purifier and after 2 of them, better than advdm 10's"][1] == "no"


def test_a_rho_for_everybody_is_trained_once_and_each_picture_costs_what_applying_one_does(people, tmp_path):
    world, file = make_world(64), tmp_path / "rho.safetensors"
    x = as_seen(people[0].stolen[:2])
    taught = TaughtByOthers(others=2, train_steps=2).trained(world, 10.0, file)
    again = TaughtByOthers(others=2, train_steps=2).trained(world, 10.0, file)
    made = [
        protect(world, Method(each, 0), x, budget_levels=10.0, seed=0)
        for each in (taught, again, TaughtByOthers(others=2, train_steps=2))
    ]
    assert taught.once == again.once != Cost()
    assert torch.equal(made[0].x, made[1].x)
    assert torch.equal(made[0].x, made[2].x)
    assert not torch.equal(made[0].x, x)
    assert max_abs_levels(to_levels(x), to_levels(made[0].x)) <= 10
    spent = made[0].cost
    assert [spent.forwards, spent.backwards, spent.encodes, spent.decodes] == [10, 0, 2, 4]  # (2k + 1, 1, 2) a picture


def test_costs_are_told_once_a_protection_and_cheapest_first(lab):
    told = {"ldu": ((1, 59), "-"), "ldu_forward": ((5, 5), "192"), CLEAN: ((0, 0), "")}
    cells = [
        Cell(thief, name, 0.0 if name == CLEAN else 10.0, person=person)
        for thief, name, person in product(("LoRA", "DreamBooth"), told, (0, 1))
    ]
    for cell in cells:
        write(lab, cell, 0.5, evaluations=told[cell.method][0][cell.person])
        found = lab.found(cell)
        if cell.method != "ldu_forward":
            del found["once"]
        lab.path(cell).write_text(json.dumps(found))
    rows = [dict(zip(costs.HEAD, row, strict=True)) for row in costs.rows(read(lab, cells))]
    assert [row["method"] for row in rows] == ["ldu_forward 10", "ldu 10"]
    assert [row["all"] for row in rows] == ["5", "30"]
    assert [row["n"] for row in rows] == ["2", "2"]
    assert [row["all, once for everybody"] for row in rows] == ["192", "-"]


def test_the_time_of_a_protection_is_told_from_what_it_cost_before(lab, monkeypatch):
    monkeypatch.setattr(estimate, "_probe", lambda lab: (1.0, 2.0))  # seconds of an evaluation, of an encoding
    monkeypatch.setattr(estimate, "_theft", lambda *_: 0.0)
    cell = Cell("LoRA", "ldu_contrast", 10.0)  # without steps of its own that a guess could count
    assert estimate.estimated_seconds(lab, [cell], workers=2) == 0
    write(lab, cell, 0.5)
    found = lab.found(cell) | {"cost": {"forwards": 30, "backwards": 10, "encodes": 4, "decodes": 1, "seconds": 9}}
    ledger.keep(lab.setup.results.name, {lab.path(cell).stem: found})
    assert estimate.estimated_seconds(Lab(lab.setup), [cell], workers=2) == (30 + 2 * 10 + 3 * 5 * 2) / 2


@pytest.mark.parametrize(("anew", "said"), [(0.501, "holds"), (0.6, "FAILS")])
def test_what_is_measured_anew_should_be_what_is_kept(lab, capsys, anew, said):
    cell = Cell("LoRA", "advdm", 10.0)
    write(lab, cell, 0.5)
    ledger.keep(lab.setup.results.name, {lab.path(cell).stem: lab.found(cell)})
    write(lab, cell, anew)
    show_repeats(lab, read(lab, [cell]))
    assert capsys.readouterr().out.startswith(f"- {said}: LoRA, advdm 10, none, person 0: identity {anew:.4f} anew")


def test_a_rho_of_other_people_is_asked_for_most_of_the_effect_at_a_tenth_of_the_cost(lab, monkeypatch):
    monkeypatch.setattr(targets, "RIVALS", frozenset({"advdm", "noise_gauss"}))

    def reached(taught, evaluations=5, advdm=50, people=2):
        told = {CLEAN: (0.7, 0), "advdm": (0.5, advdm), "ldu": (0.2, 100), "ldu_forward": (taught, evaluations)}
        cells = []
        for (name, (identity, cost)), person in product(told.items(), range(people)):
            cells.append(Cell("LoRA", name, *((0.0, 0.0) if name == CLEAN else (16.0, 26.0)), person=person))
            write(lab, cells[-1], identity + person / 100, evaluations=cost)
        rows = [row for row in targets.rows(read(lab, cells), "ldu_protect") if row[0].startswith("ldu_forward: ")]
        return {f"{row[0].split()[-1]} {row[2]}": tuple(row[3:]) for row in rows}

    found = reached(0.25)
    assert found["dB) identity"] == (
        "2",
        "0.50 [0.50, 0.50], then 0.45 [0.45, 0.45]; beyond 80% of it 0.05 [0.05, 0.05]",
        "yes",
    )
    assert found["dB) Fréchet"][1:] == ("0 [0, 0] is no effect, then 0 [0, 0]; beyond 80% of it 0 [0, 0]", "not shown")
    said = "5 of 100 evaluations a set, after 192 once: less from 3 sets on; of 2 others advdm takes least, 50"
    assert found["others cost"] == ("1", said, "yes")
    assert reached(0.25, people=1)["dB) identity"][2] == "not shown"  # of one person nothing is
    assert reached(0.4)["dB) identity"] == (
        "2",
        "0.50 [0.50, 0.50], then 0.30 [0.30, 0.30]; beyond 80% of it -0.10 [-0.10, -0.10]",
        "no",
    )
    costs = {(5, 50): "yes", (10, 50): "yes", (11, 50): "no", (5, 5): "no"}
    assert {cost: reached(0.25, *cost)["others cost"][2] for cost in costs} == costs
    monkeypatch.setattr(targets, "RIVALS", frozenset({"advdm", "mist"}))
    measured, verdict = reached(0.25)["others cost"][1:]
    assert measured.endswith("; not measured: mist")
    assert verdict == "not measured"


def test_a_rho_that_others_taught_is_trained_once_for_all_people_of_the_lab(lab, people, monkeypatch):
    monkeypatch.setitem(METHODS, "ldu_forward", Method(TaughtByOthers(others=1, train_steps=1), 0))
    monkeypatch.setattr(lab, "_load", lambda _: make_world(64))
    lab._people.update(enumerate(replace(each, stolen=as_seen(each.stolen[:1])) for each in people))
    first, second = (lab.protected("ldu_forward", 10.0, number) for number in (0, 1))
    assert first.cost.forwards == second.cost.forwards == 5
    assert len(list(lab.setup.results.rglob("*.safetensors"))) == 1
    assert lab._method("ldu_forward", 10.0).protect.once.forwards > 5


def as_seen(x):
    """Return pictures as a model of 64 pixels sees them."""
    return to_pixels(to_working_size(to_levels(x), 64))


def test_a_lead_over_all_says_of_how_few_and_how_many_people_it_is(lab):
    found = {("none", person): (0.7, 0.5, 0.3) for person in range(3)}
    results = {r.cell: r for method in ("advdm", "mist") for r in purified(lab, found, method)}
    some = [r for r in results.values() if r.cell.method != "mist" or r.cell.person < 2]
    rows = [row for row in targets.rows(some, "ldu") if row[0] == "leads all others (ldu 10)"]
    assert [row[3] for row in rows] == ["2 to 3", "2 to 3"]


def test_no_effect_has_no_half_that_could_be_kept(lab):
    worse = {("none", person): (0.5, 0.5, 0.6) for person in (0, 1)}
    results = purified(lab, worse | {("diffpure 150", person): (0.5, 0.5, 0.5) for person in (0, 1)})
    (said,) = (row for row in targets.rows(results, "ldu") if "DiffPure" in row[0] and row[2] == "identity")
    assert said[-2:] == [
        "-0.10 [-0.10, -0.10] is no effect, then 0.00 [0.00, 0.00]; beyond 50% of it 0.05 [0.05, 0.05]",
        "not shown",
    ]


def test_who_met_fewer_purifiers_counts_in_no_worst_case(lab):
    found = {("none", person): (0.7, 0.4, 0.1) for person in range(3)} | {("jpeg 75", 0): (0.7, 0.6, 0.5)}
    (row,) = survival.worst_rows(purified(lab, found), "ldu")
    assert row[:6] == ["advdm 10", "2", "1", "0.70", "0.60", "0.50"]


def test_by_frechet_ours_leads_where_it_is_farther(lab):
    for ours, expected in ((90, 1), (10, -1), (50, 0)):
        cells = [
            Cell("LoRA", name, 0.0 if name == CLEAN else 10.0, person=n)
            for name in (CLEAN, "advdm", "ldu")
            for n in (0, 1)
        ]
        for cell in cells:
            write(lab, cell, 0.5, ours if cell.method == "ldu" else 50)
        (triples,) = survival.compared(read(lab, cells), "ldu").values()
        assert [survival.outcome(triples, measure) for measure in MEASURES] == [0, expected]
        assert survival.outcome(triples[:1], MEASURES[1]) == 0  # one person shows nothing


def test_what_is_measured_anew_takes_the_place_of_what_former_code_made(lab, monkeypatch):
    cell, name = Cell("LoRA", "advdm", 10.0), lab.setup.results.name
    for identity in (0.3, 0.4):
        monkeypatch.setattr(code, "FIELD", (("ldu/budget.py",), ("ldu/losses.py",))[identity > 0.3])
        write(lab, cell, identity)
        assert ledger.keep(name, {lab.path(cell).stem: lab.found(cell)}) == 1
    (found,) = ledger.kept(name).values()
    assert found["effect"]["identity"] == 0.4


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is kept is a CPU's")
def test_the_tables_of_the_documents_are_what_their_commands_print(capsys):
    assert in_docs.main([]) == 0, capsys.readouterr().out
    same = int(capsys.readouterr().out.split()[0])
    assert same > 450  # of some 540: a title or a head that changes loses its table


def test_a_row_that_is_printed_otherwise_is_found(monkeypatch):
    monkeypatch.setattr(
        in_docs, "_printed", lambda _: {("DreamBooth, purifier: none", "method", "n", "advdm", "4"): "| new |"}
    )
    document = """    python -m benchmarks.efficacy --suite field

**DreamBooth, purifier: none, four people**

| method | n |
| --- | --- |
| advdm | 4 |
| advdm | 8 |"""
    assert list(in_docs.printed_rows(document.splitlines())) == [(6, "| new |")]


def test_what_is_kept_can_be_printed_without_naming_it(lab, monkeypatch, capsys):
    cells = [Cell("LoRA", "advdm", 10.0), Cell("LoRA", CLEAN, 0.0)]
    for cell in cells:
        write(lab, cell, 0.3)
    ledger.keep(lab.setup.results.name, {lab.path(cell).stem: lab.found(cell) for cell in cells})
    elsewhere = replace(lab.setup, folder=lab.setup.folder / "elsewhere")
    assert sorted(kept_suite(Lab(elsewhere))) == sorted(cells)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(code, "FIELD", ("ldu/budget.py",))
    assert kept_suite(Lab(elsewhere)) == cells[1:]
    assert "code that decides them has changed: 1 kept results" in capsys.readouterr().out
    assert kept_suite(Lab(replace(elsewhere, seed=1))) == []
    assert "no result is kept" in capsys.readouterr().out


def test_a_row_of_the_page_is_white_where_a_thiefs_pictures_are_elsewhere(lab, people, monkeypatch):
    monkeypatch.setitem(lab._people, 0, people[0])
    cells = [Cell("LoRA", CLEAN, 0.0), Cell("DreamBooth", CLEAN, 0.0), Cell("LoRA", "advdm", 10.0)]
    for cell in cells:
        write(lab, cell, 0.5)
        drawn = np.zeros((KEPT, 3, 128, 128), np.uint8)
        np.savez_compressed(lab.path(cell).with_suffix(".npz"), published=drawn[:1], drawn=drawn)
    sheet = np.asarray(draw_sheet(lab, read(lab, cells)))
    clean, advdm = np.split(sheet[HEAD_HEIGHT:, -KEPT * (128 + GAP) :], 2)  # DreamBooth's
    assert not (clean == 255).all()
    assert (advdm == 255).all()


def test_after_every_purifier_it_is_said_who_leads(lab):
    leads = {"none": 0.2, "jpeg 75": 0.1, "vae": -0.1, "blur 5": 0.0}
    budgets = {CLEAN: 0.0, "advdm": 10.0, "ldu": 10.0}
    cells = [
        Cell("TI", method, budgets[method], purifier=purifier, person=person)
        for method, purifier, person in product(budgets, leads, range(3))
    ]
    for cell in cells:
        lead = leads[cell.purifier] + (cell.person - 1) / 100 if cell.method == "advdm" else 0
        write(lab, cell, 0.3 + lead, 50)
    results = read(lab, cells)
    rows = [dict(zip(survival.HEAD, row, strict=True)) for row in survival.rows(results, "ldu")]
    assert [row["purifier"] for row in rows] == ["none", "jpeg 75", "blur 5", "vae"]
    assert (rows[1]["identity: other"], rows[1]["identity: other minus ours"]) == ("0.40", "0.10 [0.09, 0.11]")
    identity, frechet = survival.verdicts(results, "ldu")
    assert identity == "advdm 10, identity: of 3 purifiers ours leads after 1, ties after 1 and trails after 1"
    assert frechet == "advdm 10, Fréchet: of 3 purifiers ours leads after 0, ties after 3 and trails after 0"


def test_what_ours_takes_is_told_person_by_person_and_without_whom_it_serves_most(lab):
    takes = {"none": (0.1, 0.2, 0.3), "jpeg 75": (-0.1, 0.0, 0.4)}
    cells = [
        Cell("TI", method, budget, purifier=purifier, person=person)
        for (method, budget), purifier, person in product(((CLEAN, 0.0), ("ldu", 10.0)), takes, range(3))
    ]
    for cell in cells:
        write(lab, cell, 0.6 - (takes[cell.purifier][cell.person] if cell.method == "ldu" else 0), 50)
    rows = [row[:3] + row[4:] for row in survival.effect_rows(read(lab, cells), "ldu")]
    assert rows == [
        ["none", "ldu 10", "3", "0.10, 0.20, 0.30", "0.15"],
        ["jpeg 75", "ldu 10", "3", "-0.10, 0.00, 0.40", "-0.05"],
    ]


def test_shares_of_protected_pictures_are_compared_with_pictures_of_which_none_is(lab, capsys):
    told = {CLEAN: (0.0, 0.0), "advdm": (10.0, 0.2), "ldu": (10.0, 0.4)}
    cells = [
        Cell("LoRA", method, told[method][0], share=share, person=person)
        for method, share, person in product(told, (0.25, 1.0), range(3))
    ]
    for cell in cells:
        clean = 0.7 if cell.share == 1 else 0.8  # other pictures, which a thief learns otherwise from
        write(lab, cell, clean - told[cell.method][1] * cell.share + cell.person / 10)
    show_mixtures(read(lab, cells), "ldu")
    title, *table = (line for line in capsys.readouterr().out.splitlines() if line)
    assert title == "**LoRA, some of whose pictures nobody protected**"
    rows = [dict(zip(survival.MIXED_HEAD, line.strip("| ").split(" | "), strict=True)) for line in table[2:]]
    assert [(row["pictures protected"], row["n"]) for row in rows] == [("25%", "3"), ("100%", "3")]
    kept = [[row[f"identity: {of}"] for of in survival.COMPARED] for row in rows]
    assert kept == [["0.90", "0.85", "0.80", "0.05 [0.05, 0.05]"], ["0.80", "0.60", "0.40", "0.20 [0.20, 0.20]"]]
    show_mixtures(read(lab, [cell for cell in cells if cell.share == 1]), "ldu")
    assert capsys.readouterr().out == ""


def test_a_thief_that_fails_on_clean_pictures_fails_the_self_check(lab):
    for identity, holds in ((0.5, True), (0.2, False)):
        write(lab, Cell("TI", CLEAN, 0.0), identity)
        assert [ok for _, ok in self_checks(read(lab, [Cell("TI", CLEAN, 0.0)]))] == [holds]


@pytest.mark.parametrize(
    ("noise", "holds"), [((0.5, 40), (True, True)), ((0.3, 40), (False, True)), ((0.5, 70), (True, False))]
)
def test_noise_that_does_something_by_either_measure_fails_the_self_check(lab, noise, holds):
    cells = [
        Cell("LoRA", name, *given, person=n) for name, *given in ((CLEAN, 0.0), ("noise_gauss", 10.0)) for n in (0, 1)
    ]
    for cell in cells:
        write(lab, cell, *((0.5, 40) if cell.method == CLEAN else noise))
    learnt, *found = self_checks(read(lab, cells))
    assert learnt == ("LoRA succeeds on clean pictures: identity 0.50 above 0.35, of 2 of 2 people", True)
    assert tuple(ok for _, ok in found) == holds


@pytest.mark.parametrize("finds", [True, False])
def test_a_judge_that_sees_the_person_in_a_grey_picture_fails_the_self_check(lab, people, judge, monkeypatch, finds):
    for number in (0, 1):
        monkeypatch.setitem(lab._people, number, people[number])
        write(lab, Cell("LoRA", CLEAN, 0.0, person=number), 0.5)
    monkeypatch.setitem(lab.__dict__, "judge", judge if finds else Blind(people))
    results = read(lab, [Cell("LoRA", CLEAN, 0.0, person=number) for number in (0, 1)])
    assert [ok for _, ok in judge_checks(lab, results)] == [finds]
    assert judge_checks(lab, results[:1]) == []  # nobody else to compare with


class Blind:
    """A judge to whom a grey picture is the person, like the person's own photos."""

    def __init__(self, people):
        self.people = people

    def effect(self, x, seen):
        own = any(torch.equal(x, one.reference) and torch.equal(seen, one.seen) for one in self.people)
        return Effect(0.9 if own or not x.any() else 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("at_26_db", "holds"), [(0.4, True), (0.6, False)])
def test_a_method_that_does_less_where_it_is_seen_more_fails_the_self_check(lab, at_26_db, holds):
    cells = Cell("LoRA", "advdm", 10.0), Cell("LoRA", "advdm", 16.0, 26.0)
    for cell, identity in zip(cells, (0.5, at_26_db), strict=True):
        write(lab, cell, identity)
        found = lab.found(cell)
        found["visibility"]["psnr_db"] = cell.psnr_db or 31.0
        lab.path(cell).write_text(json.dumps(found))
    said = f"LoRA: more is done where more is seen: identity advdm 10 0.50, advdm 16 at 26 dB {at_26_db:.2f}"
    assert self_checks(read(lab, cells)) == [(said, holds)]


def test_the_published_order_is_told_beside_this_one(lab):
    cells = [Cell("DreamBooth", name, *plan.at_equal_psnr(name)) for name in list(order.PUBLISHED)[:4]]
    for rank, cell in enumerate(cells):
        write(lab, cell, 0.1 * rank, 50 + order.PUBLISHED[cell.method][1] / 10)
    assert order.found_here(read(lab, cells[:3])) == {}  # three methods make no order
    found = order.found_here(read(lab, cells))
    assert [row[2] for row in order.rows(found)] == ["0.00 (1)", "0.10 (2)", "0.20 (3)", "0.30 (4)"]
    assert "1.00 by identity, 1.00 by the Fréchet" in order.agreement(found)
    other = [replace(cell, budget_levels=2 * cell.budget_levels) for cell in cells]
    for cell in other:
        write(lab, cell, 0.9, 10)
    assert order.found_here(read(lab, [*cells, *other])) == found  # with another room they are no part of it
    for rank, cell in enumerate(cells):
        write(lab, cell, -0.1 * rank)
    assert "-1.00 by identity" in order.agreement(order.found_here(read(lab, cells)))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Networks of random weights where PyTorch looks for trained ones."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    for name in ("alexnet", "vgg16"):
        file = Path(get_model_weights(name).IMAGENET1K_V1.url).name
        torch.save(get_model(name).state_dict(), tmp_path / "checkpoints" / file)
    yield
    shutil.rmtree(tmp_path / "checkpoints")  # half a gigabyte


@pytest.mark.usefixtures("weights")
def test_the_measures_of_visibility_tell_a_picture_from_itself_and_more_noise_from_less(people):
    x = resize(people[0].stolen[:1], perceptual.FIVE_SCALES, perceptual.FIVE_SCALES)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    measures, lacking = perceptual.available(perceptual.FIVE_SCALES)
    assert lacking == []
    for name, same in {"MS-SSIM": 1, "LPIPS": 0, "DISTS": 0}.items():
        none, little, much = (measures[name]((x + amount * noise).clamp(-1, 1), x) for amount in (0, 0.05, 0.3))
        assert none == pytest.approx(same, abs=1e-5)
        assert abs(much - same) > abs(little - same) > 1e-5


def test_a_measure_that_cannot_be_taken_is_left_out_and_the_reason_said(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    measures, lacking = perceptual.available(128)
    assert measures == {}
    assert [sentence.split()[0] for sentence in lacking] == ["MS-SSIM", "LPIPS", "DISTS"]
    assert str(tmp_path) in lacking[1]


def test_a_method_is_measured_once_however_many_thieves_had_it(lab, people, monkeypatch):
    monkeypatch.setitem(lab._people, 0, people[0])
    cells = [Cell(thief, "advdm", 10.0) for thief in ("LoRA", "DreamBooth")] + [Cell("LoRA", CLEAN, 0.0)]
    for cell in cells:
        write(lab, cell, 0.5)
        np.savez_compressed(lab.path(cell).with_suffix(".npz"), published=to_bytes(people[0].stolen))
    row = ["advdm 10", "1", "0.000"]
    error = {"error": lambda protected, original: (protected - original).abs().max().item()}
    assert list(perceptual.rows(lab, read(lab, cells), error)) == [row]
