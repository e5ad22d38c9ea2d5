"""rho files and the demo checkpoint."""

from collections.abc import Iterable
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..ldu.checkpoint import load_rho, save_rho
from ..ldu.errors import BadFileError
from ..ldu.wording import one_line
from .files import fingerprint_of
from .host import load_demo, under_manager
from .output_names import require_plain_name, rho_folder
from .types import RhoSocket, TrainedRho
from .wording import ALIASES, CATEGORY, report

DEMO_CHECKPOINT = Path(__file__).parent.parent / "demo" / "weights" / "ldu_demo.safetensors"
NEWEST = "newest"


def register_folder() -> None:
    """Make models/ldu and output/ldu known to the host as places of rho files."""
    for folder in (Path(folder_paths.models_dir) / "ldu", rho_folder()):
        folder_paths.add_model_folder_path("ldu", str(folder))
    paths, _ = folder_paths.folder_names_and_paths["ldu"]
    folder_paths.folder_names_and_paths["ldu"] = (paths, {".safetensors"})  # the host's own call lists every file


class LoadRho(io.ComfyNode):
    """Read a trained rho."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_LoadRho",
            display_name="Load ρ",
            category=CATEGORY,
            search_aliases=ALIASES,
            description="Reads a trained ρ from models/ldu or output/ldu.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[NEWEST, *folder_paths.get_filename_list("ldu")],
                    tooltip="A .safetensors file that Train ρ or Save ρ wrote; newest = the one that was written last.",
                )
            ],
            outputs=[RhoSocket.Output(display_name="ρ", tooltip="For Apply ρ Shift, or for Train ρ to go on from.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        """Say what to do about a missing file before anything else of the graph has run."""
        if file is None or _find_rho(file) is not None:
            return True
        wanted = "trained ρ" if file == NEWEST else f"ρ named {file!r}"
        return (
            f"There is no {wanted} in models/ldu or output/ldu yet: run the workflow train_rho_on_folder first, "
            "or choose another file."
        )

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Load again when the file was written anew, or when there is a newer one; where it is linked, of any."""
        paths = _rho_files() if file is None else [_require_rho(file)]
        return fingerprint_of([(path, path.stat().st_mtime_ns) for path in paths])

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Return the rho."""
        path = _require_rho(file)
        net, card = load_rho(path)
        family, prompt = one_line(card.model_family), one_line(card.prompt)
        walk = f"{family}, k {card.k_steps}, depth {card.depth:g}, budget {card.budget_levels:g} levels"
        shown = report({}, f"{path.name}\n{prompt}\n{walk}")
        return io.NodeOutput(TrainedRho(under_manager(net), card), ui=shown)


def _find_rho(file: str) -> Path | None:
    """Return the path of a rho by its name in the list, or of the one written last; None if there is none."""
    paths = _rho_files() if file == NEWEST else _rho_files([file])
    return max(paths, key=lambda path: path.stat().st_mtime_ns, default=None)


def _rho_files(names: Iterable[str] | None = None) -> list[Path]:
    """Return where the named rhos lie, those that are there; without names all."""
    names = folder_paths.get_filename_list("ldu") if names is None else names
    return [Path(path) for name in names if (path := folder_paths.get_full_path("ldu", name))]


def _require_rho(file: str) -> Path:
    path = _find_rho(file)
    if path is None:
        raise BadFileError(f"The ρ {file!r} is no longer in models/ldu or output/ldu: choose another file.")
    return path


class SaveRho(io.ComfyNode):
    """Write a trained rho under a name of the user's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_SaveRho",
            display_name="Save ρ",
            category=CATEGORY,
            search_aliases=ALIASES,
            description="Writes a trained ρ to output/ldu, where Load ρ finds it.",
            inputs=[
                RhoSocket.Input("rho", display_name="ρ", tooltip="From Train ρ."),
                io.String.Input(
                    "name", default="rho", tooltip="File name, without folder and ending; a number is added if taken."
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, rho: TrainedRho, name: str) -> io.NodeOutput:
        """Write the file; an existing one is never replaced, a number is added."""
        require_plain_name(name, "A ρ")
        folder = rho_folder()
        names = (f"{name}{'' if n == 1 else f'_{n}'}.safetensors" for n in range(1, 10**6))
        path = next(folder / candidate for candidate in names if not (folder / candidate).exists())
        save_rho(path, rho.net, rho.card)
        return io.NodeOutput(ui=report({}, f"ldu/{path.name}"))


class LoadDemoCheckpoint(io.ComfyNode):
    """Load the small model that the pack brings along."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_LoadDemoCheckpoint",
            display_name="Load Demo Checkpoint",
            category=CATEGORY,
            search_aliases=[*ALIASES, "checkpoint", "model"],
            description="A small Stable Diffusion-shaped model of procedural portraits that shows how everything "
            "works. It does not protect against Stable Diffusion: for that, use Load Checkpoint.",
            inputs=[],
            outputs=[
                io.Model.Output(display_name="model", tooltip="Trained on drawn portraits of 128 pixels."),
                io.Clip.Output(display_name="clip", tooltip="Its text encoder."),
                io.Vae.Output(display_name="vae", tooltip="Its autoencoder."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Return MODEL, CLIP and VAE."""
        return io.NodeOutput(*load_demo(DEMO_CHECKPOINT))


NODES = [LoadRho, SaveRho, LoadDemoCheckpoint]
