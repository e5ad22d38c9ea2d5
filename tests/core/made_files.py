"""Files and folders that the tests of the door begin with."""

import json
import struct


def make_comfyui(folder, version="0.30.0"):
    (folder / "comfy").mkdir()
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')


def make_file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())
    return path


def make_safetensors(path, metadata, data=b""):
    weight = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": metadata, "weight": weight}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path
