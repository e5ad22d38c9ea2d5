"""The checkpoint that the pack brings along, after something has happened to its file."""

from unittest import mock

import torch

from .bench import Bench, Case
from .files import safetensors

NAME = "ldu_demo.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 10"


def demo(content: bytes | None):
    """Load the demo checkpoint from a file with this content, or from none."""

    def attempt(b: Bench):
        path = b.place / NAME if content is None else b.put(b.place / NAME, content)
        with mock.patch.object(b.host.module("nodes.weights"), "DEMO_CHECKPOINT", path):
            return b.node("LDU_LoadDemoCheckpoint")

    return attempt


LORA = safetensors({"lora_up": torch.ones(99)})

DEMO = [
    Case("Load Demo Checkpoint", "no file of weights", "install the pack again", demo(None)),
    Case("Load Demo Checkpoint", "half a file", "not a complete safetensors file", demo(LORA[:200])),
    Case("Load Demo Checkpoint", "the pointer that Git LFS leaves", "not a complete safetensors file", demo(POINTER)),
    Case("Load Demo Checkpoint", "somebody's LoRA", "does not describe itself", demo(LORA)),
]
