"""The nodes: thin layers between ComfyUI and `ldu`."""

from comfy_api.latest import ComfyExtension, io

from . import (
    decoy,
    evaluation,
    files,
    gallery,
    personalization,
    picture_folder,
    pictures,
    protect_folder,
    protection_report,
    purify,
    refine,
    save_protected,
    training,
    walk,
    weights,
)


class LduExtension(ComfyExtension):
    """What the host loads."""

    async def on_load(self) -> None:
        """Register the folders of rho files before any node lists them."""
        weights.register_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return all nodes."""
        return [
            node
            for module in (
                *(files, picture_folder, save_protected, pictures, walk, personalization, training, decoy, refine),
                *(evaluation, purify, gallery, protection_report, weights, protect_folder),
            )
            for node in module.NODES
        ]
