"""Which ComfyUI to use, and what it lacks.

A user's own ComfyUI (`--comfyui DIR` or COMFYUI_DIR) always comes first and nothing is ever installed there; only
without one does the copy in the cache folder, see `setup`, take its place.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from launch import PACK, LaunchError

OLDEST = {"torch": (2, 4), "Pillow": (10, 1)}  # by the names under which they are installed
NEEDED = ("torch", "torchvision", "numpy", "PIL", "safetensors", "transformers", "aiohttp", "scipy", "av", "kornia")

PROBE = """
import importlib.util, json, sys
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
accelerator, pillow = False, ""
if not missing:
    import PIL, torch
    kinds = torch.cuda, torch.backends.mps, getattr(torch, "xpu", None)
    accelerator = any(kind.is_available() for kind in kinds if kind)
    pillow = PIL.__version__
print(json.dumps({"missing": missing, "accelerator": accelerator, "pillow": pillow}))
"""
UTF8 = ("-X", "utf8")  # an embedded Python does not read PYTHONUTF8


@dataclass(frozen=True)
class Host:
    """A ComfyUI and the Python that runs it."""

    python: Path
    comfyui: Path


def python_in(venv: Path) -> Path:
    """Return where a virtual environment keeps its Python."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def own_host(folder: Path) -> Host:
    """Take the user's own ComfyUI with the Python that comes with it, else with the one that runs now."""
    folder = folder.expanduser().resolve()
    if not (folder / "main.py").is_file() or not (folder / "comfy").is_dir():
        raise LaunchError(f"{folder} is not a ComfyUI folder: it must hold main.py and comfy/.")
    candidates = [
        python_in(folder / "venv"),
        python_in(folder / ".venv"),
        folder / "python_embeded" / "python.exe",
        folder.parent / "python_embeded" / "python.exe",
        Path(sys.executable),
    ]
    return Host(next(python for python in candidates if python.is_file()), folder)


def host_version(comfyui: Path) -> tuple[int, ...]:
    """Read a ComfyUI's version from its own file; empty when it does not tell."""
    file = comfyui / "comfyui_version.py"
    found = re.search(r'__version__ = "([\d.]+)"', file.read_text("utf-8")) if file.is_file() else None
    return tuple(int(part) for part in found[1].split(".") if part) if found else ()


def wanted_version() -> tuple[int, ...]:
    """Read the oldest ComfyUI that will do from the pack's own pyproject.toml."""
    found = re.search(r'requires-comfyui = ">=([\d.]+)"', (PACK / "pyproject.toml").read_text("utf-8"))
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def dotted(version: tuple[int, ...]) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version)) or "unknown"


def require_version(comfyui: Path) -> None:
    """Refuse a ComfyUI that is too old.

    Raises:
        LaunchError: It is older than the pack's pyproject.toml says.
    """
    found, wanted = host_version(comfyui), wanted_version()
    if found < wanted:
        raise LaunchError(f"{comfyui} is ComfyUI {dotted(found)}, but {dotted(wanted)} or newer is needed: update it.")


def require_packages(host: Host, wanted_by: str, *names: str) -> None:
    """Refuse what needs packages that a host does not bring.

    Raises:
        LaunchError: Which of them the host's Python lacks.
    """
    code = "import importlib.util, sys; print(*(n for n in sys.argv[1:] if not importlib.util.find_spec(n)))"
    lacking = ", ".join(run_python(host, "-c", code, *names, cwd=host.comfyui).stdout.split())
    if lacking:
        raise LaunchError(
            f"{wanted_by} needs {lacking}, which {host.python} lacks: install there what is missing, or do without."
        )


def probe(host: Host) -> bool:
    """Ask the host's Python what it lacks; return whether it has a GPU to compute on.

    Raises:
        LaunchError: It does not run, or packages are missing.
    """
    answer = run_python(host, "-c", PROBE, *NEEDED, cwd=host.comfyui)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LaunchError(f"{host.python} cannot be used: {reason}")
    found = json.loads(answer.stdout.strip().splitlines()[-1])
    if found["missing"]:
        names = ", ".join(found["missing"])
        requirements = host.comfyui / "requirements.txt"
        raise LaunchError(f"{host.python} lacks {names}: install what {requirements} lists into it, then try again.")
    if _numbers(found["pillow"]) < OLDEST["Pillow"]:
        wanted = dotted(OLDEST["Pillow"])
        raise LaunchError(
            f"{host.python} has Pillow {found['pillow']}, but {wanted} or newer is needed: update it there."
        )
    return bool(found["accelerator"])


def run_python(
    host: Host, *arguments: str, given: str | None = None, cwd: Path = PACK
) -> subprocess.CompletedProcess[str]:
    """Run the host's Python to its end, whatever code page its system has; `given` is what it reads.

    Not in the user's folder: with -c, Python imports what lies where it is started, such as a torch.py among downloads.
    """
    return subprocess.run(
        [str(host.python), *UTF8, *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # PYTHONIOENCODING may ask for another one
        cwd=cwd,
        check=False,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
