"""Choose a Decoy: the same picture with somebody else in it, for a thief to learn."""

from itertools import chain
from typing import Any

from comfy_api.latest import io

from ..ldu.errors import BadValueError
from ..ldu.target import DECOYS, farthest_edit
from .host import WatchedDenoiser, sampling_session, tag_model
from .types import HostRecord, RecordSocket
from .walk_checks import require_same_kind
from .wording import ALIASES, CATEGORY, report


class ChooseDecoy(io.ComfyNode):
    """Walk a picture back as somebody else."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_ChooseDecoy",
            display_name="Choose a Decoy",
            category=CATEGORY,
            search_aliases=[*ALIASES, "target", "double", "edit by inversion"],
            description="Paints somebody else into the picture: pose, clothes and background stay. Of several "
            "descriptions it takes the one that changes the picture most. Connected "
            "to Refine in Pixels as target, it is what a thief is led to learn.",
            inputs=[
                io.Model.Input("model", tooltip="The same as for Invert to z_T."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint as the model."),
                RecordSocket.Input("record", tooltip="From Invert to z_T with the empty prompt: k 8 and depth 0.6."),
                io.String.Input(
                    "decoys",
                    default="\n".join(DECOYS),
                    multiline=True,
                    tooltip="Whom a thief shall learn instead: one description a line, as different as can be from "
                    "your subject and from each other. For a style or an object describe other ones.",
                ),
            ],
            outputs=[
                io.Latent.Output("target", display_name="target", tooltip="For Refine in Pixels; VAE Decode shows it."),
                io.String.Output("decoy", display_name="decoy", tooltip="The description that was taken."),
                io.Conditioning.Output(
                    "target_conditioning",
                    display_name="target_conditioning",
                    tooltip="That description for Refine in Pixels, so that the model, too, expects who is there.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model: Any, clip: Any, record: HostRecord, decoys: str) -> io.NodeOutput:  # noqa: ANN401
        """Return the target and its description, in words and as a condition."""
        if clip is None:
            raise BadValueError("Choose a Decoy needs a CLIP, but this checkpoint holds none: load one.")
        prompts = [line.strip() for line in decoys.splitlines() if line.strip()]
        if not prompts:
            raise BadValueError("A decoy is described in a line of words, but nothing came: describe somebody else.")
        require_same_kind(tag_model(model), record.model)
        conditions = [clip.encode_from_tokens_scheduled(clip.tokenize(prompt)) for prompt in prompts]
        k = len(record.record.sigmas) - 1
        with sampling_session(model, [*chain.from_iterable(conditions)], record.samples.shape) as session:
            bound = [
                WatchedDenoiser(session.bind(condition), k * len(prompts), done=k * number)
                for number, condition in enumerate(conditions)
            ]
            number, z_0 = farthest_edit(record.record, bound, session.schedule)
            target = {"samples": session.latent_out(z_0)}
            numbers = {"nfe": {"protect": session.evaluations}}
        said = report(numbers, f"A thief shall learn: {prompts[number]}")
        return io.NodeOutput(target, prompts[number], conditions[number], ui=said)


NODES = [ChooseDecoy]
