"""Textual Inversion as a node."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..ldu.attacks.textual_inversion import InversionConfig
from ..ldu.checkpoint import write_safetensors
from ..ldu.errors import BadFileError, BadValueError, MismatchError
from ..ldu.shapes import Levels
from .estimate import KEEPS_NOTHING, Pace, Teller
from .host import differentiable_clip, latent_shape, training_memory, training_resolution, training_session
from .images import split_pictures
from .inputs import seed_input
from .loss_map import loss_map
from .output_names import is_taken, require_plain_name
from .token_encoder import TokenEncoder
from .token_fitting import Fitting, encode_views
from .types import Personalizer, PersonalizerSocket
from .word_preview import MOST, PREVIEW_STEPS, WordPreview
from .wording import ALIASES, CATEGORY, MODEL_TOOLTIP, VAE_TOOLTIP, report


class TextualInversion(io.ComfyNode):
    """Learn the word S* for the pictures, as a thief would."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_TextualInversion",
            display_name="Textual Inversion",
            category=CATEGORY,
            search_aliases=[*ALIASES, "embedding", "train"],
            is_input_list=True,
            description="Learns a new word for what the pictures show. The protection is trained against it.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL_TOOLTIP),
                io.Clip.Input("clip", tooltip="Of the same checkpoint as the model."),
                io.Vae.Input("vae", tooltip=VAE_TOOLTIP),
                io.Image.Input("image", tooltip="Pictures of one subject, of any size."),
                io.String.Input("prompt", default="a photo of S* person", tooltip="Must hold the placeholder once."),
                io.String.Input("placeholder", default="S*", tooltip="The word to learn."),
                io.String.Input("initial_word", default="person", tooltip="A coarse word to start from."),
                io.Int.Input(
                    "vectors",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="Token embeddings per word; 1 is usual, 2 to 4 hold more.",
                ),
                io.Int.Input(
                    "steps",
                    default=150,
                    min=0,
                    max=20000,
                    tooltip="Optimiser steps: 60 to 150 for the demo model, 500 for Stable Diffusion, on which "
                    "published thieves take about 1500.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=5e-3,
                    min=1e-6,
                    max=1.0,
                    step=1e-6,
                    tooltip="Of Adam; 0.0005 to 0.01 is usual, 0.005 for Stable Diffusion. Lower it if the loss jumps.",
                ),
                seed_input(),
                io.String.Input(
                    "save_as",
                    default="",
                    advanced=True,
                    tooltip="Name of an embedding file to save the learnt word to; CLIP Text Encode reads it as "
                    "embedding:NAME. Empty = nothing is saved.",
                ),
                io.Int.Input(
                    "previews",
                    default=MOST,
                    min=0,
                    max=MOST,
                    optional=True,
                    advanced=True,
                    tooltip="Pictures drawn with the word while it is being learnt, shown on the node: 1 to 4, "
                    f"0 = none. Each takes {PREVIEW_STEPS} evaluations without gradient and changes nothing.",
                ),
                io.String.Input(
                    "name",
                    force_input=True,
                    optional=True,
                    tooltip="From Purify: a word of its own is learnt for each name, and what follows runs once for "
                    "each. Nothing connected: one word for all pictures.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning", is_output_list=True, tooltip="The prompt with the learnt word."
                ),
                PersonalizerSocket.Output(
                    display_name="personalizer",
                    is_output_list=True,
                    tooltip="Lets Train ρ learn the word again while it trains.",
                ),
                io.LossMap.Output(
                    display_name="loss_map", is_output_list=True, tooltip="For the stock Plot Loss Graph."
                ),
                io.String.Output(
                    display_name="name", is_output_list=True, tooltip="The names, each once; for Thief's Gallery."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        clip: list[Any],
        vae: list[Any],
        image: list[Tensor],
        prompt: list[str],
        placeholder: list[str],
        initial_word: list[str],
        vectors: list[int],
        steps: list[int],
        learning_rate: list[float],
        seed: list[int],
        save_as: list[str],
        previews: list[int] | None = None,
        name: list[str] | None = None,
    ) -> io.NodeOutput:
        """Return the prompt's conditioning with each learnt word, the personalizers, the losses and the names."""
        TokenEncoder(
            clip[0], prompt[0], initial_word[0], placeholder[0]
        )  # says what is wrong before anything is loaded
        target = _embedding_path(save_as[0]) if save_as[0] else None
        config, subjects = InversionConfig(steps[0], learning_rate[0]), _by_name(image, name)
        if target is not None and len(subjects) > 1:
            raise BadValueError(f"One file cannot hold the words of {len(subjects)} names: leave save_as empty.")
        side = training_resolution(model[0])
        text, shape = differentiable_clip(clip[0]), latent_shape(model[0], side, side, config.draws)
        teller = Teller()
        teller.begin(*training_memory(model[0], vae[0], shape, [text.patcher]))
        with training_session(model[0], vae[0], shape, clip=text) as (session, coder):
            encoder = TokenEncoder(text, prompt[0], initial_word[0], placeholder[0])
            latents = [encode_views(coder, pictures, side, session.device) for pictures in subjects.values()]
            shown = WordPreview(session, coder, shape, previews[0] if previews else MOST)
            pace = Pace(teller, steps[0] * len(latents), KEEPS_NOTHING)
            fitting = (session, encoder, config, seed[0], shown, pace)
            words = [Fitting(*fitting).fit(of, encoder.initial(vectors[0])) for of in latents]
        said = pace.took
        if target is not None:
            parts = encoder.split(words[0].token)
            try:
                write_safetensors(target, {name: part.contiguous() for name, part in parts.items()}, {})
            except BadFileError as error:  # what was learnt for long goes on to the nodes behind
                said = f"{said}\nThe word was learnt, but not saved: {error}"
        numbers = {"nfe": {"textual_inversion": session.evaluations}, "ti_steps": steps[0]}
        return io.NodeOutput(
            [word.conditioning for word in words],
            [Personalizer(clip[0], encoder.prompt, initial_word[0], word.token, config, seed[0]) for word in words],
            [loss_map(word.losses) for word in words],
            list(subjects),
            ui=report(numbers, said),
        )


def _by_name(image: Sequence[Tensor], name: Sequence[str] | None) -> dict[str, list[Levels]]:
    """Return the pictures of each name, in the order in which the names come first; all under "" without names."""
    names = list(name) if name else [""] * len(image)
    if len(names) != len(image):
        raise MismatchError(
            f"There are {len(names)} names for {len(image)} lists of pictures: connect image and name of one Purify."
        )
    if not image:
        return {"": split_pictures(image)}
    return {each: split_pictures([i for i, of in zip(image, names, strict=True) if of == each]) for each in names}


def _embedding_path(name: str) -> Path:
    require_plain_name(name, "An embedding")
    taken = {Path(each).stem.casefold() for each in folder_paths.get_filename_list("embeddings")}
    target = Path(folder_paths.get_folder_paths("embeddings")[0]) / f"{name}.safetensors"
    if name.casefold() in taken or is_taken(target):  # whatever its folder and ending: a prompt would find the new one
        raise BadValueError(f"There is an embedding named {name!r} already: choose another name.")
    return target


NODES = [TextualInversion]
