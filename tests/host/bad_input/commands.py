"""The command line: run.py and python -m ldu.report."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from unittest import mock

import torch

from launch import door
from ldu import report
from ldu.errors import LduError

from .bench import Bench, Case, RefusedError
from .files import encoded, safetensors


def desk(bench: Bench) -> Path:
    """Return a folder with a photo, a taken name and some files that are no weights."""
    folder = bench.place
    for name in ("me.png", "you.png", "you_protected.png"):
        bench.put(folder / name, encoded())
    bench.put(folder / "small.png", encoded(side=32))
    bench.put(folder / "model.ckpt", b"old")
    bench.put(folder / "text.safetensors", b"Dear diary")
    bench.put(folder / "half.safetensors", safetensors({})[:4])
    whole = safetensors({"weight": torch.ones(99)})
    bench.put(folder / "cut.safetensors", whole[:-9])
    bench.put(folder / "longer.safetensors", whole + bytes(9))
    (folder / "album").mkdir(exist_ok=True)
    return folder


def run(*arguments: str) -> Callable[[Bench], None]:
    """Type a command line in which {} is the desk; ComfyUI itself is out of reach."""

    def attempt(bench: Bench) -> None:
        typed, said = [argument.replace("{}", str(desk(bench))) for argument in arguments], io.StringIO()
        with contextlib.redirect_stderr(said), _out_of_reach("protect"), _out_of_reach("stress"), _signals_kept():
            try:
                status = door.main(typed)
            except SystemExit as ended:
                status = ended.code
        assert status in (1, 2), "the command line took it"
        raise RefusedError(said.getvalue().strip().splitlines()[-1])

    return attempt


def started(*_: object, **__: object) -> NoReturn:
    """Stand for what must not be reached."""
    raise AssertionError("ComfyUI was started")


def _out_of_reach(command: str) -> contextlib.AbstractContextManager:
    return mock.patch(f"launch.door.{command}", started)


def _signals_kept() -> contextlib.AbstractContextManager:
    return mock.patch("launch.door.signal.signal")


def measure(*names: str) -> Callable[[Bench], None]:
    def attempt(bench: Bench) -> None:
        folder = desk(bench)
        try:
            report.main([str(folder / name) for name in names])
        except LduError as error:
            raise RefusedError(str(error)) from error

    return attempt


PROTECT = ("protect", "{}/me.png")
STRESS = ("stress", "{}/me.png")

COMMANDS = [
    Case("run.py protect", "no picture", "required", run("protect")),
    Case("run.py protect", "a picture that is not there", "no picture at", run("protect", "{}/nobody.png")),
    Case("run.py protect", "a folder without pictures", "no picture in the folder", run("protect", "{}/album")),
    Case("run.py protect", "a result that is there already", "--force", run("protect", "{}/you.png")),
    Case(
        "run.py protect",
        "the picture as its own result",
        "never written over",
        run(*PROTECT, "--out", "{}/me.png", "--force"),
    ),
    Case("run.py protect", "a JPEG for a result", "must end in .png", run(*PROTECT, "--out", "{}/me.jpg")),
    Case(
        "run.py protect", "a folder of a folder that is not there", "no folder", run(*PROTECT, "--out", "{}/a/b/c.png")
    ),
    Case(
        "run.py protect",
        "one file for two pictures",
        "saved in a folder",
        run(*PROTECT, "{}/small.png", "--out", "{}/both.png"),
    ),
    Case("run.py protect", "one picture twice", "under one name", run(*PROTECT, "{}/me.png")),
    Case(
        "run.py protect",
        "the report in the place of the picture",
        "never written over",
        run(*PROTECT, "--json", "{}/me.png"),
    ),
    Case(
        "run.py protect",
        "a checkpoint that is not there",
        "no file at",
        run(*PROTECT, "--checkpoint", "{}/no.safetensors"),
    ),
    Case("run.py protect", "a .ckpt", "can run code", run(*PROTECT, "--checkpoint", "{}/model.ckpt")),
    Case(
        "run.py protect",
        "a text named .safetensors",
        "not a safetensors file",
        run(*PROTECT, "--rho", "{}/text.safetensors"),
    ),
    Case("run.py protect", "half a .safetensors", "cut short", run(*PROTECT, "--rho", "{}/half.safetensors")),
    Case(
        "run.py protect", "a .safetensors cut in its data", "is damaged", run(*PROTECT, "--rho", "{}/cut.safetensors")
    ),
    Case(
        "run.py protect",
        "a .safetensors with more behind its data",
        "is damaged",
        run(*PROTECT, "--checkpoint", "{}/longer.safetensors"),
    ),
    Case("run.py protect", "a budget of 300", "0..255|0 to 255", run(*PROTECT, "--budget", "300")),
    Case("run.py protect", "a budget in words", "invalid", run(*PROTECT, "--budget", "ten")),
    Case("run.py protect", "a budget that is no number", "not within", run(*PROTECT, "--budget", "nan")),
    Case("run.py protect", "k below 0", "negative", run(*PROTECT, "--k", "-1")),
    Case("run.py protect", "k 0", "not enough", run(*PROTECT, "--k", "0")),
    Case("run.py protect", "a depth of 0", "not within", run(*PROTECT, "--depth", "0")),
    Case("run.py protect", "a prompt without S*", r"S\*", run(*PROTECT, "--prompt", "a photo")),
    Case("run.py protect", "a prompt with two S*", r"S\* once", run(*PROTECT, "--prompt", "S* and S*")),
    Case("run.py protect", "a quality of a PNG", "add --format", run(*PROTECT, "--quality", "80")),
    Case("run.py protect", "a subject that is none", "invalid choice", run(*PROTECT, "--subject", "ghost")),
    Case("run.py protect", "an option that is none", "unknown option", run(*PROTECT, "--magic")),
    Case("run.py protect", "a folder that is no ComfyUI", "main.py and comfy/", run(*PROTECT, "--comfyui", "{}/album")),
    Case("run.py stress", "no picture", "required", run("stress")),
    Case("run.py stress", "a picture that is not there", "no picture at", run("stress", "{}/nobody.png")),
    Case("run.py stress", "a folder without pictures", "no picture in the folder", run("stress", "{}/album")),
    Case("run.py stress", "a folder beside a picture", "but not both", run(*STRESS, "{}/album")),
    Case("run.py stress", "weights for a picture", "like a picture", run("stress", "{}/text.safetensors")),
    Case(
        "run.py stress",
        "one protected version for two originals",
        "one protected version of each",
        run(*STRESS, "{}/you.png", "--protected", "{}/you_protected.png"),
    ),
    Case(
        "run.py stress",
        "a seed where nothing is protected",
        "protected already",
        run(*STRESS, "--protected", "{}/you.png", "--seed", "3"),
    ),
    Case("run.py stress", "one original twice", "same name", run(*STRESS, "{}/me.png")),
    Case(
        "run.py stress",
        "the report in the place of a picture",
        "never written over",
        run(*STRESS, "--json", "{}/me.png"),
    ),
    Case("run.py stress", "a file for a folder", "is a file", run(*STRESS, "--out", "{}/you.png")),
    Case("run.py stress", "a .ckpt", "can run code", run(*STRESS, "--checkpoint", "{}/model.ckpt")),
    Case("run.py stress", "no pictures to draw", "pictures", run(*STRESS, "--pictures", "0")),
    Case("run.py stress", "an identity network that is none", "invalid choice", run(*STRESS, "--identity", "arcface")),
    Case("run.py ui", "a port in words", "invalid", run("ui", "--port", "http")),
    Case("run.py ui", "a .ckpt", "can run code", run("ui", "--checkpoint", "{}/model.ckpt")),
    Case("run.py", "a command that is none", "invalid choice", run("defend")),
    Case("ldu.report", "one file", "pairs of files", measure("me.png")),
    Case("ldu.report", "two sizes", "one size", measure("me.png", "small.png")),
    Case("ldu.report", "a file that is not there", "no picture file", measure("me.png", "nobody.png")),
    Case("ldu.report", "weights for a picture", "not a picture", measure("me.png", "text.safetensors")),
]
