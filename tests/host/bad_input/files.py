"""Picture files, folders and names of files."""

import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image

from .bench import Bench, Case, picture


def encoded(kind: str = "PNG", mode: str = "RGB", side: int = 64) -> bytes:
    """Return a picture file of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, kind)
    return out.getvalue()


def enormous() -> bytes:
    """Return the beginning of a PNG that claims a million pixels each way."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 10**6, 10**6, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 9) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks + bytes(13)


def load(name: str, content: bytes):
    return lambda bench: bench.node("LDU_LoadPicture", image=bench.input_file(name, content))


def folder(name: str, number: int = 0, **files: bytes):
    def attempt(bench: Bench):
        (bench.host.base / "input" / name).mkdir(exist_ok=True)
        for stem, content in files.items():
            bench.put(bench.host.base / "input" / name / f"{stem}.png", content)
        return bench.node("LDU_LoadPictureFolder", folder=name, number=number)

    return attempt


def save(prefix: str, **given):
    return lambda bench: bench.node("LDU_SaveProtected", image=picture(), filename_prefix=prefix, **given)


def alpha_of_another(bench: Bench):
    info = bench.host.module("ldu.picture").PictureInfo
    other = info("other.png", "RGBA", 9, 9, torch.zeros(9, 9, dtype=torch.uint8))
    return save("x", info=other)(bench)


def in_a_file(bench: Bench):
    bench.put(bench.host.base / "output" / "taken", b"a file, no folder")
    return save("taken/x")(bench)


def weights(name: str, content: bytes):
    def attempt(bench: Bench):
        bench.put(bench.host.base / "models" / "ldu" / name, content)
        return bench.node("LDU_LoadRho", file=name)

    return attempt


def safetensors(tensors, metadata=None) -> bytes:
    import safetensors.torch

    return safetensors.torch.save(tensors, metadata)


def rho_file(change):
    """Load a saved rho whose tensors and metadata were changed."""

    def attempt(bench: Bench):
        checkpoint, unet = bench.host.module("ldu.checkpoint"), bench.host.module("ldu.shift_unet")
        with torch.inference_mode(False):
            net = unet.ShiftUNet(unet.ShiftConfig(4, width=16))
        card = checkpoint.RhoCard("SD15", "abc", "eps", 1, 0.5, (1.0, 0.0))
        path = bench.put(bench.place / "good.safetensors", b"")
        checkpoint.save_rho(path, net, card)
        return weights("changed.safetensors", safetensors(*change(*checkpoint.read_safetensors(path))))(bench)

    return attempt


def with_nan(tensors, metadata):
    name = next(iter(tensors))
    return {**tensors, name: tensors[name] * float("nan")}, metadata


def with_less(tensors, metadata):
    return dict(list(tensors.items())[1:]), metadata


def with_card(**values):
    import json

    def change(tensors, metadata):
        described = json.loads(metadata["ldu.rho"])
        described["card"].update(values)
        return tensors, {**metadata, "ldu.rho": json.dumps(described)}

    return change


FILES = [
    Case(
        "Load Picture",
        "what the mask editor made of a picture",
        "paint on a Load Image",
        load("clipspace-painted-masked-1.png", encoded(mode="RGBA")),
    ),
    Case("Load Picture", "a file that is not there", "no picture", lambda b: b.node("LDU_LoadPicture", image="x.png")),
    Case(
        "Load Picture",
        "a file outside the input folder",
        "no picture",
        lambda b: b.node("LDU_LoadPicture", image="../../../etc/passwd"),
    ),
    Case("Load Picture", "a text named .png", "not a picture in a format", load("text.png", b"Dear diary")),
    Case("Load Picture", "an empty file", "not a picture in a format", load("empty.png", b"")),
    Case("Load Picture", "half of a PNG", "damaged or cut short", load("half.png", encoded()[:2000])),
    Case("Load Picture", "half of a JPEG", "damaged or cut short", load("half.jpg", encoded("JPEG")[:1500])),
    Case("Load Picture", "a vector drawing", "not a picture in a format", load("drawing.svg", b"<svg xmlns='x'/>")),
    Case("Load Picture", "a floating-point TIFF", "8 bits a channel", load("float.tif", encoded("TIFF", "F"))),
    Case("Load Picture", "a million pixels each way", "safety limit", load("bomb.png", enormous())),
    Case(
        "Load Picture Folder",
        "a folder that is not there",
        "no folder",
        lambda b: b.node("LDU_LoadPictureFolder", folder="nowhere"),
    ),
    Case(
        "Load Picture Folder",
        "a folder outside",
        "outside the input folder",
        lambda b: b.node("LDU_LoadPictureFolder", folder="../output"),
    ),
    Case(
        "Load Picture Folder",
        "a name of 260 letters",
        "No folder can be called",
        lambda b: b.node("LDU_LoadPictureFolder", folder="x" * 260),
    ),
    Case("Load Picture Folder", "an empty folder", "There is no picture in", folder("hollow")),
    Case("Load Picture Folder", "a folder with a broken picture", "broken.png", folder("mixed", broken=b"no picture")),
    Case("Load Picture Folder", "a number beyond the last picture", "all are done", folder("single", 2, one=encoded())),
    Case("Load Picture Folder", "a number below 0", "1 is the first", folder("single", -1, one=encoded())),
    Case(
        "Load Picture Folder", "the number of a broken one", "Picture 1 of 1", folder("mixed", 1, broken=b"no picture")
    ),
    Case("Save Protected", "a prefix that leads out", "out of the output folder", save("../escaped")),
    Case("Save Protected", "an absolute prefix", "out of the output folder", save("/tmp/escaped")),
    Case("Save Protected", "a folder that is a file", "taken", in_a_file),
    Case("Save Protected", "a name of 260 letters", "longer than 255", save("x" * 260)),
    Case("Save Protected", "a name with a zero byte", "zero byte|cannot stand", save("a\0b")),
    Case("Save Protected", "a name with half a letter", "cannot stand", save("a\ud800")),
    Case("Save Protected", "info of a picture of another size", "Alpha to save must be", alpha_of_another),
    Case(
        "Load ρ", "a ρ that is not there", "train_rho_on_folder", lambda b: b.node("LDU_LoadRho", file="no.safetensors")
    ),
    Case("Load ρ", "a path out of the folder", "train_rho_on_folder", lambda b: b.node("LDU_LoadRho", file="../../x")),
    Case(
        "Load ρ", "a text named .safetensors", "not a complete safetensors file", weights("t.safetensors", b"Hello you")
    ),
    Case("Load ρ", "an empty file", "not a complete safetensors file", weights("e.safetensors", b"")),
    Case(
        "Load ρ",
        "half a file",
        "not a complete safetensors file",
        weights("h.safetensors", safetensors({"a": torch.ones(99)})[:200]),
    ),
    Case(
        "Load ρ", "somebody's LoRA", "not a rho", weights("lora.safetensors", safetensors({"lora_up": torch.ones(2)}))
    ),
    Case("Load ρ", "a ρ with values that are no numbers", "infinite or not numbers", rho_file(with_nan)),
    Case("Load ρ", "a ρ that lacks weights", "does not hold the tensors", rho_file(with_less)),
    Case("Load ρ", "a ρ of a later version", "update", rho_file(lambda t, m: (t, {**m, "ldu.version": "9"}))),
    Case("Load ρ", "a ρ whose card says depth 7", "cannot be read", rho_file(with_card(depth=7))),
    Case("Load ρ", "a ρ whose depth has 400 digits", "cannot be read", rho_file(with_card(depth=10**400))),
    Case("Load ρ", "a ρ whose card is no card", "cannot be read", rho_file(lambda t, m: (t, {**m, "ldu.rho": "[]"}))),
    Case("Save ρ", "no name", "plain name", lambda b: b.node("LDU_SaveRho", rho=None, name="")),
    Case("Save ρ", "a name of 400 letters", "plain name", lambda b: b.node("LDU_SaveRho", rho=None, name="x" * 400)),
    Case(
        "Save ρ", "a name with half a letter", "plain name", lambda b: b.node("LDU_SaveRho", rho=None, name="a\ud800")
    ),
    Case("Save ρ", "a name with folders", "plain name", lambda b: b.node("LDU_SaveRho", rho=None, name="../mine")),
]
