"""What can be typed behind `run.py`, and which values of the workflow it asks for.

argparse tells the name of a function that cannot read a value, so those below are named for their readers.
"""

import argparse
import math
import os
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from launch import LaunchError
from launch.console import harmless
from ldu.naming import ENDINGS, MARK

# What the pictures show: the word to start from, and another for the thief that judges the result.
SUBJECTS = {"person": "face", "object": "thing", "art": "painting", "animal": "pet"}
TOKEN = "S*"
WEIGHTS = "FILE.safetensors"
LAST_PORT = 65535
IDENTITIES = ("none", "demo portraits", "insightface")  # as the gallery's node calls them

Wishes = dict[str, Any]


def read_options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of a command line and, of `test`, those that are pytest's."""
    parser = _parser()
    for argument in takewhile(lambda argument: argument != "--", arguments):
        if argument.startswith("-") and os.path.lexists(argument):  # what * may have found in a stranger's folder
            parser.error(f"{argument} is the name of a file here, and would be taken for an option: rename the file.")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unknown option: {' '.join(rest)}")
    return options, rest


def protect_wishes(options: argparse.Namespace) -> Wishes:
    """Return what was asked of the workflow; what was not keeps the workflow's own value.

    Raises:
        LaunchError: A quality was asked of a format that has none, or of a decoy what it does not do.
    """
    if options.quality and options.format in (None, "png"):
        raise LaunchError("--quality is of jpeg and webp, and a png has none: add --format, or leave it out.")
    if options.decoy and (options.rho or options.subject not in (None, "person")):
        idle = "--rho" if options.rho else f"--subject {options.subject}"
        raise LaunchError(f"{idle} has no effect with --decoy, which leads from one person to another: leave one out.")
    method = ("budget", "strength", "k", "depth", "train_steps", "refine_steps", "seed")
    wishes = _given(options, *method, "format", "quality")
    if options.subject and not options.decoy:
        wishes |= {} if options.rho else _words_of(options.subject)
        wishes["judges_word"] = SUBJECTS[options.subject]
    if options.prompt:
        wishes["prompt"] = options.prompt
    return wishes


def stress_wishes(options: argparse.Namespace) -> Wishes:
    """Return what was asked of the stress test; what was not keeps the workflow's own value.

    Raises:
        LaunchError: Something was asked of the protection, but there is nothing to protect.
    """
    names = ("thief_steps", "lora_steps", "pictures", "identity", "public_photos", "thief_seed")
    method = _given(options, "train_steps", "refine_steps", "seed")
    if options.protected and method:
        idle = next(iter(method)).replace("_", "-")
        raise LaunchError(f"--{idle} has no effect on pictures that are protected already: leave it out.")
    wishes = _given(options, *names) | method
    if options.budget is not None:
        wishes["report_budget" if options.protected else "budget"] = options.budget
    if options.purifiers:
        wishes["purifiers"] = "\n".join(dict.fromkeys(["none", *options.purifiers]))
    if options.subject:
        wishes |= {"judges_word": SUBJECTS[options.subject], "lora_prompt": f"a photo of sks {options.subject}"}
        wishes |= {} if options.protected else _words_of(options.subject)
    return wishes


def _given(options: argparse.Namespace, *names: str) -> Wishes:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _words_of(subject: str) -> Wishes:
    return {"prompt": f"a photo of {TOKEN} {subject}", "initial_word": subject}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without what would steer a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(harmless(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="run.py", description="Protect pictures against personalization.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{protect,stress,ui,test}")
    _add_protect(commands.add_parser("protect", help="protect one picture, several of one subject, or a folder"))
    _add_stress(commands.add_parser("stress", help="ask what thieves learn from pictures once they are protected"))
    ui = commands.add_parser("ui", help="open ComfyUI with the LDU nodes in place")
    ui.add_argument("--port", type=port, help="port of the address (default: a free one)")
    ui.add_argument("--checkpoint", type=path, metavar=WEIGHTS, help="your SD checkpoint, for Load Checkpoint")
    _add_host(ui)
    test = commands.add_parser("test", help="pass all checks; further options go to pytest", allow_abbrev=False)
    test.add_argument("--fast", action="store_true", help="the core's tests only")
    return parser


def _add_protect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=path, metavar="IMAGE", help="pictures of one subject, or one folder of them"
    )
    files = parser.add_argument_group("files")
    # As it was typed: a path forgets the slash that says "a folder".
    files.add_argument(
        "--out", type=typed, metavar="FILE|DIR", help=f"default: NAME{MARK} beside the picture or folder"
    )
    _add_kept(files, report="save the report (several pictures: a list of them)")
    files.add_argument("--format", choices=list(ENDINGS), help="of the saved files (png); the others break the budget")
    files.add_argument("--quality", type=quality, help="of jpeg and webp, 1..100 (90)")
    method = parser.add_argument_group("method (defaults are the workflow's)")
    _add_budget(method)
    method.add_argument("--strength", type=_number(-4, 4), help="of the shift: 0 none, 1 as trained (1)")
    method.add_argument("--k", type=count, help="steps of the walk: 1, 2, 4 or 8 are usual")
    method.add_argument("--depth", type=_number(0.02, 1), help="how deep into the noise, 0.02..1")
    _add_training(method, refining="on the pixels; 0 = the shift alone, as with --rho")
    method.add_argument("--subject", choices=list(SUBJECTS), help="what the pictures show (person)")
    method.add_argument("--prompt", type=_prompt, help=f'contains {TOKEN} once (default "a photo of {TOKEN} SUBJECT")')
    method.add_argument("--seed", type=whole_number)
    method.add_argument(
        "--decoy", action="store_true", help="people: move pixels to where a model sees somebody else; trains nothing"
    )
    models = _add_models(parser)
    models.add_argument(
        "--rho", type=path, metavar=WEIGHTS, help="a trained ρ: no training, the shift alone, which does little"
    )
    _add_host(parser)


def _add_stress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=path, metavar="IMAGE", help="originals of one person or thing, or one folder of them"
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--protected", nargs="+", type=path, default=[], metavar="FILE", help="their protected versions, in that order"
    )
    files.add_argument("--out", type=path, metavar="DIR", help="default: NAME_stress beside the first one")
    _add_kept(files, report="save the report as JSON here too")
    thieves = parser.add_argument_group("thieves (defaults are the workflow's)")
    thieves.add_argument("--purifiers", nargs="+", metavar="LINE", help='what they try first: "jpeg 75" "resize 0.5"')
    thieves.add_argument("--thief-steps", type=whole_number, metavar="STEPS", help="of Textual Inversion")
    thieves.add_argument("--lora-steps", type=count, metavar="STEPS", help="of DreamBooth-LoRA")
    thieves.add_argument("--thief-seed", type=whole_number, metavar="SEED")
    thieves.add_argument("--pictures", type=count, metavar="COUNT", help="that each draws (8)")
    thieves.add_argument("--identity", choices=IDENTITIES, help="who compares faces (your own checkpoint: none)")
    thieves.add_argument("--subject", choices=list(SUBJECTS), help="what the pictures show (person)")
    thieves.add_argument("--public-photos", type=whole_number, metavar="COUNT", help="of the subject, in all")
    method = parser.add_argument_group("protection of the originals (defaults are the workflow's)")
    _add_budget(method)
    _add_training(method, refining="on the pixels; 0 = the shift alone")
    method.add_argument("--seed", type=whole_number)
    _add_models(parser)
    _add_host(parser)


def _add_kept(files: argparse._ArgumentGroup, *, report: str) -> None:
    files.add_argument("--json", type=path, metavar="FILE", help=report)
    files.add_argument("--force", action="store_true", help="replace existing files, never an input")
    files.add_argument("--keep-log", type=path, metavar="FILE", help="save ComfyUI's log; it names your files")


def _add_budget(method: argparse._ArgumentGroup) -> None:
    told = "how far a colour value of 0..255 may move (10 hardly shows; 32, where an effect was seen, does)"
    method.add_argument("--budget", type=_number(0, 255), metavar="LEVELS", help=told)


def _add_training(method: argparse._ArgumentGroup, *, refining: str) -> None:
    method.add_argument(
        "--train-steps",
        type=whole_number,
        metavar="STEPS",
        help="of ρ, which makes the shift (60, 300 with your checkpoint)",
    )
    method.add_argument("--refine-steps", type=whole_number, metavar="STEPS", help=refining)


def _add_models(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    models = parser.add_argument_group("models")
    longer = "your SD checkpoint; unlike for the demo, ρ then trains for 300 steps and its word for 500"
    models.add_argument("--checkpoint", type=path, metavar=WEIGHTS, help=longer)
    return models


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--comfyui", type=path, metavar="DIR", help="your own ComfyUI (default: COMFYUI_DIR)")
    parser.add_argument("--cpu", action="store_true", help="leave the GPU alone")


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not within {least}..{most}")
        return value

    return number


def whole_number(text: str) -> int:
    """Read a whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    value = whole_number(text)
    if not value:
        raise argparse.ArgumentTypeError("0 is not enough")
    return value


def quality(text: str) -> int:
    """Read a whole number from 1 to 100."""
    value = whole_number(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not within 1..100")
    return value


def typed(text: str) -> str:
    """Read a name: an empty one would be the folder in which the command runs."""
    if not text:
        raise argparse.ArgumentTypeError("a name is needed, but nothing came")
    return text


def path(text: str) -> Path:
    """Read a path."""
    return Path(typed(text))


def port(text: str) -> int:
    """Read the number of a port."""
    value = count(text)
    if value > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not within 1..{LAST_PORT}")
    return value


def _prompt(text: str) -> str:
    if text.count(TOKEN) != 1:
        raise argparse.ArgumentTypeError(f"the prompt must contain {TOKEN} once: it stands for the subject")
    return text
