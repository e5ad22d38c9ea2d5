"""The benchmarks still run and say what they claim to say; what they measure is judged by those who read them."""

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import folder_memory, full_size, inversion, protect_photos, reach, speed, stress_test, table
from demo.pipeline import WEIGHTS

needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"the demo checkpoint {WEIGHTS.name} is not there")


@needs_weights
def test_the_walk_with_its_record_comes_back_on_the_demo_checkpoint(capsys):
    inversion.main(["--row"])
    printed = capsys.readouterr().out
    cells = [cell.strip() for cell in printed.splitlines()[2].strip("|").split("|")]
    found = dict(zip(inversion.HEAD, cells, strict=True))
    assert float(found["miss, record"]) < 1e-4
    assert float(found["error, none"]) > float(found["miss, record"])
    assert found["NFE"] == "5"
    assert table.digest(WEIGHTS)[:16] in printed


@needs_weights
def test_what_each_way_of_changing_a_picture_reaches_is_told_at_one_visibility(capsys):
    reach.main(["--row"])
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ways = {tuple(line[:2]): dict(zip(reach.HEAD, line, strict=True)) for line in lines if line[0] in reach.WAYS}
    assert len(ways) == len(reach.WAYS) * len(reach.DIRECTIONS)
    assert {row["PSNR dB"][:2] for row in ways.values()} == {"36"}
    rises = {key: float(row["file, rise %"]) for key, row in ways.items()}
    assert rises["pixels", "at random"] < 5 < rises["z_T", "of the loss"] < rises["pixels", "of the loss"]
    after = lines[lines.index(list(reach.PASSED_HEAD)) + 2 :]
    passed = {line[0]: float(line[2]) for line in after}
    assert max(passed[band] for band in reach.BANDS) < 0.7 < passed["what the walk passes on most"]


@needs_weights
def test_protecting_evaluates_the_model_as_often_as_the_stock_sampler_it_is_compared_with(host, capsys):
    options = argparse.Namespace(size="demo", k=2, depth=0.5, repeats=1, no_training=False)
    with torch.inference_mode():
        speed.measure(host, options, torch.device("cpu"))
    rows = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    evaluations = {row[0].strip(): row[1].strip() for row in rows[2:5]}
    assert evaluations == {
        "KSampler of 5 steps, 1 encode, 2 decodes": "5",
        "protecting with a trained ρ": "5",
        "one training step": "6, 4 of them with backward",
    }


@needs_weights
@pytest.mark.parametrize(("way", "made_in"), [("protect", "protected"), ("number", "copied")])
def test_the_memory_of_folders_is_measured_for_each_size_of_folder(host, way, made_in):
    with torch.inference_mode():
        rows = list(folder_memory.measure(host, folder_memory.WAYS[way](host), [1, 2], 64))
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(len(row) == len(folder_memory.HEAD) and float(row[2]) > float(row[3]) for row in rows)
    made = {count: len(list((host.base / "output" / f"of_{count}_{made_in}").iterdir())) for count in (1, 2)}
    assert made == {1: 1, 2: 2}


@pytest.mark.parametrize("size", ["sd15", "sdxl"])
def test_the_full_sizes_are_those_of_the_published_checkpoints(host, size):
    import comfy.ldm.modules.diffusionmodules.openaimodel as unet

    del host
    config = {"sd15": full_size.SD15, "sdxl": full_size.SDXL}[size] | {"device": "meta", "dtype": torch.float16}
    if size == "sd15":
        config |= {"num_heads": 8}
    parameters = sum(weight.numel() for weight in unet.UNetModel(**config).parameters())
    assert parameters == {"sd15": 859_520_964, "sdxl": 2_567_463_684}[size]


def test_what_does_not_fit_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(speed.NEEDS, "sdxl", (10**6, 10**6))
    with pytest.raises(SystemExit, match="sdxl needs about 1000000 GiB"):
        speed.require_room("sdxl", torch.device("cpu"))


def test_the_photographs_are_a_png_a_jpeg_and_one_with_alpha(tmp_path):
    opened = {name: Image.open(path) for name, path in protect_photos.save_photographs(tmp_path).items()}
    assert {name: (image.format, image.mode) for name, image in opened.items()} == {
        "astronaut.png": ("PNG", "RGB"),
        "coffee.jpg": ("JPEG", "RGB"),
        "cat_alpha.png": ("PNG", "RGBA"),
    }
    alpha = np.asarray(opened["cat_alpha.png"].getchannel("A"))
    assert {0, 255} < set(alpha.flatten().tolist())


def test_a_report_becomes_a_row(tmp_path):
    photograph = protect_photos.save_photographs(tmp_path)["cat_alpha.png"]
    report = json.loads(
        '{"width": 451, "height": 300, "budget_levels": 10.0, "max_abs_levels": 10, "psnr_db": 31.5, "ssim": 0.9,'
        '"loss_before": 0.1, "loss_after": 0.3, "loss_random": 0.2, "loss_gain_over_random": [0.05, 0.15],'
        '"seconds": 100.0, "nfe": {"protect": 9, "train": 1000, "refine": 120, "textual_inversion": 600,'
        '"evaluate": 192}}'
    ) | {"output": str(photograph)}
    row = dict(zip(protect_photos.HEAD, protect_photos.row(photograph, report), strict=True))
    assert row["after - random [95 %]"] == "+0.1000 [+0.0500, +0.1500]"
    assert (row["beats noise"], row["nfe"], row["alpha"]) == ("yes", "9 + 1000 + 120 + 600 + 192", "same")


@pytest.mark.parametrize(
    ("interval", "verdict"), [((-0.1, 0.1), "not shown"), ((-0.2, -0.1), "no"), ((None, None), "not told")]
)
def test_an_interval_around_0_shows_nothing(interval, verdict):
    assert protect_photos.verdict(*interval) == verdict


def test_a_stress_report_becomes_a_row_a_version_with_its_interval_and_the_finding_beside_the_worst():
    report = json.loads(
        '{"thieves": [{"name": "TI", "compared_by": "x", "attempts": ['
        '{"version": "clean", "similarity": 0.6, "loss": null, "pictures": 8, "faces": 8, "interval": [0.5, 0.7]},'
        '{"version": "protected", "similarity": 0.2, "loss": null, "pictures": 8, "faces": 8, "interval": [0.1, 0.3]},'
        '{"version": "jpeg 75", "similarity": 0.1, "loss": null, "pictures": 8, "faces": 0, "interval": null}]}]}'
    )
    rows = [dict(zip(stress_test.HEAD, row, strict=True)) for row in stress_test.rows_of(7, report)]
    assert [row["given"] for row in rows] == ["clean", "protected", "jpeg 75"]
    assert str(rows[1]["similarity [95 %]"]) == "similarity 0.20 (0.10 to 0.30)"
    assert [bool(row["finding"]) for row in rows] == [False, True, False]
    assert "the protection held" in rows[1]["finding"]


def test_a_table_is_markdown_and_names_its_command_machine_and_commit(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/x/benchmarks/speed.py", "--size", "demo"])
    table.print_table(("a", "b"), [(1, 2.5)])
    print(table.provenance())
    printed = capsys.readouterr().out
    assert printed.startswith("| a | b |\n| --- | --- |\n| 1 | 2.5 |\n")
    for part in (
        "`python -m benchmarks.speed --size demo`",
        "machine: ",
        f"commit {table.commit()}",
    ):
        assert part in printed
