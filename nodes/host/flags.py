"""What was asked of ComfyUI at its start, as far as it binds the nodes."""

from comfy.cli_args import args


def may_embed_metadata() -> bool:
    """Tell whether prompt and workflow may be written into files: not after --disable-metadata."""
    return not args.disable_metadata
