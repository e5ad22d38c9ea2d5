"""run.py test, before it has checked anything."""

import os
from unittest import mock

from .bench import Bench, Case
from .commands import desk, run, started


def test(*options: str, **places: str):
    """Type `run.py test` with folders in the environment, in which {} is the desk; nothing is set up or run."""

    def attempt(b: Bench) -> None:
        here = {name: place.replace("{}", str(desk(b))) for name, place in places.items()}
        with (
            mock.patch.dict(os.environ, here),
            mock.patch("launch.checks.subprocess.run", started),
            mock.patch("launch.setup.locked", started),
        ):
            if "COMFYUI_DIR" not in here:
                os.environ.pop("COMFYUI_DIR", None)
            run("test", *options)(b)

    return attempt


CHECKS = [
    Case("run.py test", "a test that is not there", "no test at", test("tests/core/test_magic.py")),
    Case("run.py test", "a ComfyUI that is none", "main.py and comfy/", test(COMFYUI_DIR="{}/album")),
    Case("run.py test", "a file for the cache folder", "LDU_CACHE", test(LDU_CACHE="{}/me.png")),
]
