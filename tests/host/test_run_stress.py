"""What `run.py stress` leaves behind, with a real ComfyUI server and as little work as will do."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from launch import PACK
from launch.setup import present_host
from ldu.wording import DEMO_WARNING

from .executor import needs_weights
from .own_pack import own_pack

COMFYUI = present_host().comfyui
PERSON = PACK / "workflows" / "samples" / "ldu_sample_person"
LITTLE = ["--purifiers", "jpeg 75", "--thief-steps", "1", "--lora-steps", "1", "--pictures", "1", "--cpu"]

pytestmark = pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one")


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A pack whose thieves work for a moment."""
    folder = tmp_path_factory.mktemp("house") / "pack"
    own_pack(folder)
    return folder


@pytest.fixture
def photos(tmp_path):
    """Two photographs of one person on somebody's desk."""
    (tmp_path / "tmp").mkdir()
    return [Path(shutil.copy(PERSON / name, tmp_path)) for name in ("1.png", "2.png")]


def stress(pack, folder, *options):
    """Run the pack's `run.py stress` and return what it said."""
    env = os.environ | {"TMPDIR": str(folder / "tmp"), "COMFYUI_DIR": str(COMFYUI)}
    command = [sys.executable, str(pack / "run.py"), "stress", *map(str, options), *LITTLE]
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def versions(report):
    return {each["name"]: [attempt["version"] for attempt in each["attempts"]] for each in report["thieves"]}


@needs_weights
def test_originals_are_protected_and_tested_and_nothing_else_is_left_on_disk(pack, tmp_path, photos):
    said = stress(
        pack, tmp_path, *photos, "--out", tmp_path / "out", "--budget", 4, "--train-steps", 1, "--refine-steps", 2
    )
    assert DEMO_WARNING in said
    assert "WHAT THIEVES GOT" in said
    assert not list((tmp_path / "tmp").iterdir())
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert versions(report)["Textual Inversion"] == ["clean", "protected", "jpeg 75"]
    assert versions(report)["DreamBooth-LoRA"] == ["clean", "protected", "jpeg 75"]
    made = {"k": 2, "depth": 0.25, "training: train_steps": 1, "strength": 1, "pixels: steps": 2, "pixels: contrast": 1}
    assert made.items() <= report["settings"].items()
    assert [picture["name"] for picture in report["pictures"]] == ["1.png", "2.png"]
    protected = {picture["file"]: picture["sha256"] for picture in report["pictures"]}
    for name, digest in protected.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert (
        max(picture["visibility"]["max_abs_levels"] for picture in report["pictures"]) <= report["budget_levels"] == 4
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "gallery.png",
        "report.html",
        "report.json",
        *protected,
    }
    with Image.open(tmp_path / "out" / "gallery.png") as gallery:
        assert gallery.info == {}


@needs_weights
def test_given_protected_versions_are_tested_as_they_are(pack, tmp_path, photos):
    extra = ["--out", tmp_path / "out", "--json", tmp_path / "told.json"]
    stress(pack, tmp_path, *photos, "--protected", PERSON / "1.png", PERSON / "3.png", *extra)
    report = json.loads((tmp_path / "told.json").read_text("utf-8"))
    changes = [picture["visibility"]["max_abs_levels"] for picture in report["pictures"]]
    assert changes[0] == 0
    assert changes[1] > 0
    given = [hashlib.sha256((PERSON / name).read_bytes()).hexdigest() for name in ("1.png", "3.png")]
    assert [picture["sha256"] for picture in report["pictures"]] == given
    assert [Path(picture["file"]).name.partition("_")[2] for picture in report["pictures"]] == ["1.png", "3.png"]
    assert report["settings"] == {}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"gallery.png", "report.html", "report.json"}
