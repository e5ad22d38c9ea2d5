"""Choose a Decoy: whom a thief shall learn in the place of whom the pictures show."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from comfy_api.latest import io

from ..ldu.errors import BadValueError
from ..ldu.target import DECOYS, farthest_edits
from .host import WatchedDenoiser, sampling_session, tag_model
from .types import HostRecord, RecordSocket
from .walk_checks import require_same_kind
from .wording import ALIASES, CATEGORY, report


class ChooseDecoy(io.ComfyNode):
    """Find who is most unlike the subject."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="LDU_ChooseDecoy",
            display_name="Choose a Decoy",
            category=CATEGORY,
            search_aliases=[*ALIASES, "target", "double", "edit by inversion"],
            is_input_list=True,
            description="Of several descriptions it takes the one that changes the pictures most: somebody quite "
            "unlike your subject. Few-step Denoise without a record then paints them into each picture, where pose, "
            "clothes and background stay; Refine in Pixels leads a thief there.",
            inputs=[
                io.Model.Input("model", tooltip="The same as for Invert to z_T."),
                io.Clip.Input("clip", tooltip="Of the same checkpoint as the model."),
                RecordSocket.Input(
                    "record",
                    tooltip="From Invert to z_T with the empty prompt: k 8 and depth 0.6. "
                    "Several pictures of one subject get one decoy.",
                ),
                io.String.Input(
                    "decoys",
                    default="\n".join(DECOYS),
                    multiline=True,
                    tooltip="Whom a thief shall learn instead: one description a line, as different as can be from "
                    "your subject and from each other. For a style or an object describe other ones.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning",
                    display_name="conditioning",
                    tooltip="Who was taken, for Few-step Denoise without a record.",
                ),
                io.String.Output("decoy", display_name="decoy", tooltip="The description that was taken."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        clip: list[Any],
        record: list[HostRecord],
        decoys: list[str],
    ) -> io.NodeOutput:
        """Return who was taken, as a condition and in words."""
        if not record:
            raise BadValueError("Choose a Decoy needs a picture, but the list of records is empty.")
        return _chosen(model[0], clip[0], record, "\n".join(decoys))


def _chosen(model: Any, clip: Any, records: Sequence[HostRecord], decoys: str) -> io.NodeOutput:  # noqa: ANN401
    if clip is None:
        raise BadValueError("Choose a Decoy needs a CLIP, but this checkpoint holds none: load one.")
    prompts = [line.strip() for line in decoys.splitlines() if line.strip()]
    if not prompts:
        raise BadValueError("A decoy is described in a line of words, but nothing came: describe somebody else.")
    for record in records:
        require_same_kind(tag_model(model), record.model)
    conditions = [clip.encode_from_tokens_scheduled(clip.tokenize(prompt)) for prompt in prompts]
    calls = sum(len(record.record.sigmas) - 1 for record in records)
    largest = max((record.samples.shape for record in records), key=lambda shape: shape.numel())
    with sampling_session(model, [*chain.from_iterable(conditions)], largest) as session:
        bound = [
            WatchedDenoiser(session.bind(condition), calls * len(prompts), done=calls * number)
            for number, condition in enumerate(conditions)
        ]
        number, _ = farthest_edits([each.on(session.device).record for each in records], bound, session.schedule)
        numbers = {"nfe": {"protect": session.evaluations}}
    said = f"A thief shall learn: {prompts[number]}"
    return io.NodeOutput(conditions[number], prompts[number], ui=report(numbers, said, [said]))


NODES = [ChooseDecoy]
