"""Prompts, words, names and lists of purifiers."""

from .bench import Bench, Case, clip, model, picture, vae

GOOD = picture()


def learn(**given):
    def attempt(b: Bench):
        usual = {"model": model(), "clip": clip(), "vae": vae(), "image": GOOD, "steps": 1}
        return b.node("LDU_TextualInversion", **{**usual, **given})

    return attempt


def save_twice(b: Bench):
    b.put(b.host.base / "models" / "embeddings" / "taken.safetensors", b"")
    return learn(save_as="taken")(b)


def purify(text: str, **given):
    return lambda b: b.node("LDU_Purify", image=GOOD, purifiers=text, **given)


def for_training(text: str):
    return lambda b: b.node("LDU_TrainingPurifiers", purifiers=text)


WORDS = [
    Case("Textual Inversion", "a prompt without S*", r"hold S\* once", learn(prompt="a photo")),
    Case("Textual Inversion", "a prompt with two S*", r"hold S\* once", learn(prompt="S* and S*")),
    Case("Textual Inversion", "an empty prompt", r"hold S\* once", learn(prompt="")),
    Case("Textual Inversion", "an empty placeholder", "placeholder is empty", learn(placeholder="")),
    Case("Textual Inversion", "an empty initial word", "initial word", learn(initial_word=" ")),
    Case(
        "Textual Inversion",
        "a prompt of 200 words",
        "shorten it",
        learn(prompt="S* " + "very " * 200 + "nice", vectors=16),
    ),
    Case("Textual Inversion", "a checkpoint without a CLIP", "needs a CLIP", learn(clip=None)),
    Case("Textual Inversion", "a checkpoint without a VAE", "VAE", learn(vae=None)),
    Case("Textual Inversion", "two names for one picture", "2 names", learn(name=["a", "b"])),
    Case("Textual Inversion", "a name that is taken", "choose another name", save_twice),
    Case("Textual Inversion", "a name that leads out", "plain name", learn(save_as="../../me")),
    Case("Textual Inversion", "a name of 400 letters", "plain name", learn(save_as="x" * 400)),
    Case("Textual Inversion", "no picture", "list is empty", learn(image=[])),
    Case("Purify", "an empty list", "list of purifiers is empty", purify("# nothing")),
    Case("Purify", "a purifier of no name", "no purifier named 'bleach'", purify("bleach 3")),
    Case("Purify", "a line that is no recipe", "cannot be read", purify("jpeg, please")),
    Case("Purify", "JPEG at quality 500", "from 1 to 100", purify("jpeg 500")),
    Case("Purify", "steps of 5000 digits", "cannot be read", purify("diffpure 100 " + "9" * 5000)),
    Case("Purify", "a blur of 4 pixels", "odd number", purify("blur 4")),
    Case("Purify", "a range", "only training can draw", purify("jpeg 60..95")),
    Case("Purify", "DiffPure without a model", "needs a MODEL and a VAE", purify("diffpure 100")),
    Case("Purify", "a VAE round trip without a VAE", "needs a VAE", purify("vae")),
    Case(
        "Purify",
        "a picture with alpha",
        "convert it to RGB",
        lambda b: b.node("LDU_Purify", image=picture(colours=4), purifiers="jpeg 75"),
    ),
    Case("Purify", "an original of another size", "one size", purify("jpeg 75", original=picture(32, 32))),
    Case("Purifiers for Training", "a range upside down", "smaller number first", for_training("jpeg 95..60")),
    Case("Purifiers for Training", "a purifier without gradient", "impress", for_training("impress 300")),
]
