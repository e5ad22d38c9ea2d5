"""Numbers, choices and links that the host itself checks before a graph runs."""

from .bench import Case


def at(kind: str, **inputs):
    """Hand over a graph of one node behind a picture and the demo checkpoint, with wrong inputs."""
    picture = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    graph = {
        "1": picture,
        "2": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},
        "3": {"class_type": kind, "inputs": inputs},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
    }
    return lambda bench: bench.graph(graph)


IMAGE, MODEL = ["1", 0], ["2", 0]

GRAPHS = [
    Case("Compare", "nothing connected", "original", at("LDU_Compare", gain=10.0)),
    Case("Compare", "a gain of 0", "smaller than min", at("LDU_Compare", original=IMAGE, protected=IMAGE, gain=0)),
    Case("Compare", "a model for a picture", "MODEL", at("LDU_Compare", original=MODEL, protected=IMAGE, gain=10.0)),
    Case(
        "Fit to Budget",
        "a word for the budget",
        "budget",
        at("LDU_FitToBudget", original=IMAGE, clean=IMAGE, protected=IMAGE, budget="ten"),
    ),
    Case(
        "Resize to Working Size",
        "a length of 5000",
        "bigger than max",
        at("LDU_WorkingSize", image=IMAGE, short_side=5000),
    ),
    Case(
        "Purify",
        "a mode that is none",
        "not in",
        at("LDU_Purify", image=IMAGE, purifiers="jpeg 75", mode="both", seed=0),
    ),
    Case(
        "Purify",
        "a list that cannot be read",
        "cannot be read",
        at("LDU_Purify", image=IMAGE, purifiers="?", mode="one by one", seed=0),
    ),
    Case("Load Picture", "a picture that is not there", "no picture", at("LDU_LoadPicture", image="gone.png")),
    Case(
        "Thief's Gallery",
        "an identity network that is none",
        "not in",
        at("LDU_ThiefsGallery", image=IMAGE, thief="x", identity="me", side=64),
    ),
]
