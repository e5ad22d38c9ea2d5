"""The measurement of saved pictures against their originals."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launch import protect
from launch.host import Host
from ldu.errors import BadFileError, BadValueError, MismatchError
from ldu.report import main, measure

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def pair(tmp_path):
    levels = np.random.default_rng(0).integers(20, 230, (24, 32, 3), dtype=np.uint8)
    changed = levels.copy()
    changed[3, 4, 1] += 7
    for name, content in (("original.png", levels), ("saved.png", changed)):
        Image.fromarray(content).save(tmp_path / name)
    return tmp_path / "original.png", tmp_path / "saved.png"


def test_the_files_are_compared_as_they_decode(pair):
    record = measure(*pair)
    assert (record["width"], record["height"], record["max_abs_levels"]) == (32, 24, 7)
    assert record["psnr_db"] == pytest.approx(10 * np.log10(255**2 * 24 * 32 * 3 / 49), abs=1e-3)
    assert 0.99 < record["ssim"] < 1


def test_a_picture_is_at_no_distance_from_itself(pair):
    record = measure(pair[0], pair[0])
    assert (record["max_abs_levels"], record["psnr_db"], record["ssim"]) == (0, None, 1.0)


def test_pictures_of_two_sizes_are_refused_with_both(pair, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    with pytest.raises(MismatchError, match=r"small\.png is 8 x 8 pixels but original\.png is 32 x 24"):
        measure(pair[0], tmp_path / "small.png")


def test_a_file_that_is_no_picture_is_refused(pair, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no")
    with pytest.raises(BadFileError):
        measure(pair[0], tmp_path / "no.png")


def test_files_come_in_pairs():
    with pytest.raises(BadValueError, match="got 1 names"):
        main(["only.png"])


def test_more_pairs_are_measured_at_once_than_windows_allows_on_a_command_line(pair, tmp_path, monkeypatch):
    lengths, run = [], subprocess.run

    def measured(command, **more):
        lengths.append(sum(map(len, command)))
        return run(command, **more)

    monkeypatch.setattr(subprocess, "run", measured)
    pairs = [pair] * (40_000 // len(str(pair[0])) // 2)
    found = protect.measure(Host(Path(sys.executable), tmp_path), pairs)
    assert [record["max_abs_levels"] for record in found] == [7] * len(pairs)
    assert max(lengths) < 32_767
    assert protect.measure(Host(Path(sys.executable), tmp_path), []) == []


def test_the_command_writes_one_record_for_each_pair(pair):
    names = list(map(str, [*pair, pair[0], pair[0]]))
    command = [sys.executable, "-m", "ldu.report", *names]
    answer = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert [record["max_abs_levels"] for record in json.loads(answer.stdout)] == [7, 0]
