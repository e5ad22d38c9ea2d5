"""Digests of code, so that results are never mixed with those of other code; comments, texts and layout do not."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from benchmarks.efficacy.cells import LONGER
from benchmarks.table import ROOT

BENCH = (
    *("benchmarks/thieves.py", "benchmarks/world.py", "benchmarks/single_file.py", "benchmarks/efficacy/measures.py"),
    *("benchmarks/efficacy/photographs.py", "benchmarks/efficacy/subjects.py"),
    *("ldu/attacks/purify", "ldu/backends", "ldu/losses.py", "ldu/schedule.py"),
    *("demo/people.py", "demo/portraits.py", "demo/face.py", "demo/head.py", "demo/canvas.py", "demo/behind.py"),
)
"""What decides what a thief makes of given pictures."""
QUALITY = ("benchmarks/efficacy/quality.py",)
"""What decides it where measures of quality are asked for."""
FIELD = (
    *("benchmarks/baselines", "benchmarks/thieves.py", "benchmarks/world.py", "benchmarks/efficacy/visible.py"),
    *("ldu/backends", "ldu/budget.py", "ldu/losses.py", "ldu/metrics.py", "ldu/schedule.py"),
)
"""What decides how a method of the field protects a picture."""
OURS = ("ldu", "benchmarks/baselines", "benchmarks/efficacy/ours.py", "benchmarks/efficacy/visible.py")
"""What decides how ours and its controls do, with what SETTINGS says of them."""
TARGETED = ("benchmarks/efficacy/targeted.py", "ldu/target.py")
OWN = {
    "ldu_published": ("benchmarks/efficacy/published.py",),
    "ldu_forward": ("benchmarks/efficacy/general.py",),
    "ldu_decoy": ("benchmarks/efficacy/decoyed.py", "benchmarks/decoy.py"),
    "ldu_target": TARGETED,
    "ldu_target_whole_budget": TARGETED,
    "ldu_target_decoy": TARGETED,
    "ldu_target_word": TARGETED,
    "z0_contrast_control": ("benchmarks/efficacy/contrasted.py",),
    "sds_minus": ("benchmarks/efficacy/stronger.py",),
    "fsmg_dreambooth": ("benchmarks/efficacy/stronger.py",),
}
"""What decides it besides."""
SETTINGS = "benchmarks/efficacy/methods.py"
"""Where ours have their settings, and all are called."""
BESIDE = (
    *("ldu/evidence", "ldu/picture.py", "ldu/report.py", "ldu/wording.py", "ldu/saved_file.py", "ldu/naming.py"),
    *("ldu/flatness.py", "ldu/platform_check.py", "ldu/statistics.py", "ldu/whole_file.py"),
    *("ldu/published.py", "ldu/target.py", "ldu/attacks/prompt.py"),
    *("ldu/checkpoint.py", "ldu/training_state.py", "ldu/fingerprint.py"),
)
"""What lies among it and decides nothing."""


def of_method(name: str) -> str:
    """Return the digest of what decides how a method protects."""
    name = name.removesuffix(LONGER)  # whose number of steps its results have in their names
    own = OWN.get(name, ())
    if name.startswith("ldu") or name.endswith("_control"):
        return digest_of(OURS + own, method=name)
    return digest_of(FIELD + own, method=name if own else "")


@cache
def digest_of(parts: tuple[str, ...], root: Path = ROOT, *, method: str = "") -> str:
    """Return eight hexadecimal digits of the Python files and folders `parts` under `root`.

    Args:
        parts: files and folders.
        root: where they lie.
        method: one whose settings count as well.

    Raises:
        KeyError: one of ours has no settings.
    """
    found = hashlib.sha256()
    for tree in _settings(root / SETTINGS, method) if method else ():
        found.update(_dump(tree).encode())
    for file in _files(parts, root):
        found.update(_wordless(file.read_text("utf-8")))
    return found.hexdigest()[:8]


def _settings(file: Path, method: str) -> Iterator[ast.AST]:
    """Give the functions of a file and what its dictionaries have under the method's name, not under the others'."""
    tree = ast.parse(file.read_text("utf-8"))
    yield from (node for node in tree.body if isinstance(node, ast.FunctionDef))
    written = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    pairs = [pair for node in written for pair in zip(node.keys, node.values, strict=True)]
    own = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == method]
    if method.startswith("ldu") and not own:
        raise KeyError(f"{file} has no settings of {method}.")
    yield from own


@cache
def _wordless(code: str) -> bytes:
    """Return what code says without its texts; most methods share most files."""
    return _dump(ast.parse(code)).encode()


def _dump(tree: ast.AST) -> str:
    """Return the tree without texts as Python 3.10 writes it: 3.12 knows type parameters, 3.13 leaves out empty lists.

    Every result's name hangs on it, on whichever of them it is measured.
    """
    tree = _Wordless().visit(tree)
    for node in ast.walk(tree):
        if not getattr(node, "type_params", True):
            del node.type_params  # pyright: ignore[reportAttributeAccessIssue]
    return ast.dump(tree, show_empty=True) if sys.version_info >= (3, 13) else ast.dump(tree)


class _Wordless(ast.NodeTransformer):
    """Takes out texts that stand alone, docstrings among them."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node


def _files(parts: Iterable[str], root: Path) -> list[Path]:
    """Return the files that are named, and those in folders that are, without what lies BESIDE there."""
    beside = [root / name for name in BESIDE]
    named = [root / part for part in parts if part.endswith(".py")]
    inside = [file for part in parts if not part.endswith(".py") for file in (root / part).rglob("*.py")]
    return sorted({*named, *(file for file in inside if not any(file.is_relative_to(other) for other in beside))})
