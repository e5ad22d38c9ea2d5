"""Folders to protect, and files to save in another format."""

import torch

from .bench import Bench, Case, model, picture, rho, vae


def protect(folder: str = "no_pictures", **given):
    """Protect a folder that holds a text and nothing else, or another one."""

    def attempt(b: Bench):
        b.put(b.host.base / "input" / "no_pictures" / "notes.txt", b"no picture")
        usual = {"model": model(), "vae": vae(), "rho": rho(b), "folder": folder}
        return b.node("LDU_ProtectFolder", **{**usual, **given})

    return attempt


def protect_broken(b: Bench):
    b.put(b.host.base / "input" / "all_broken" / "a.png", b"no picture")
    return protect("all_broken")(b)


def protect_into_a_file(b: Bench):
    b.put(b.host.base / "output" / "in_the_way", b"a file, no folder")
    return protect(save_in="in_the_way/new")(b)


def save(**given):
    return lambda b: b.node("LDU_SaveProtected", image=picture(), **given)


def save_transparent(b: Bench):
    kind = b.host.module("ldu.picture").PictureInfo
    alpha = torch.zeros(64, 72, dtype=torch.uint8)
    return save(info=kind("a.png", "RGBA", 72, 64, alpha), file_format="jpeg")(b)


def save_without_numbers(image=None, **given):
    def attempt(b: Bench):
        info = b.host.module("ldu.picture").PictureInfo("a.png", "RGB", 72, 64)
        pictures = {"image": picture() if image is None else image, "info": info, "numbered": False}
        return b.node("LDU_SaveProtected", **{**pictures, **given})

    return attempt


TWO = picture().repeat(2, 1, 1, 1)
FOLDERS = [
    Case("Protect Folder", "a folder that is not there", "no folder", protect("nowhere")),
    Case("Protect Folder", "a folder outside", "outside the input folder", protect("../output")),
    Case("Protect Folder", "a folder without pictures", "no picture in", protect()),
    Case("Protect Folder", "a folder of broken pictures", "not a picture in a format", protect_broken),
    Case("Protect Folder", "a target that leads out", "out of the output folder", protect(save_in="../input")),
    Case("Protect Folder", "an absolute target", "out of the output folder", protect(save_in="/tmp/escaped")),
    Case("Protect Folder", "a target with a zero byte", "out of the output folder", protect(save_in="a\0b")),
    Case("Protect Folder", "a file for a target", "a file in the place", protect_into_a_file),
    Case("Protect Folder", "a target of 260 letters", "No folder can be called", protect(save_in="x" * 260)),
    Case("Protect Folder", "a mask that is black", "nothing would be protected", protect(mask=torch.zeros(1, 8, 8))),
    Case(
        "Protect Folder",
        "a ρ as published",
        "as_published off",
        lambda b: protect(rho=rho(b, 4, training={"as_published": True}))(b),
    ),
    Case("Protect Folder", "two masks", "one serves the whole folder", protect(mask=torch.ones(2, 8, 8))),
    Case("Save Protected", "an original of another size", "one size", save(original=picture(64, 64))),
    Case("Save Protected", "a transparent picture as JPEG", "JPEG cannot hold", save_transparent),
    Case("Save Protected", "no number and no name", "connect the info", save(numbered=False)),
    Case("Save Protected", "no number and no %name%", "in the prefix", save_without_numbers(filename_prefix="x")),
    Case("Save Protected", "no number and no original", "no original came", save_without_numbers()),
    Case(
        "Save Protected",
        "no number and a prefix of 260 letters",
        "longer than 255",
        save_without_numbers(original=picture(), filename_prefix="x" * 260 + "%name%"),
    ),
    Case(
        "Save Protected", "a batch under one name", "a name is for one picture", save_without_numbers(TWO, original=TWO)
    ),
]
