"""Who is told that bfloat16 is fast is not kept waiting by it."""

import time

import torch

from demo.precision import bfloat16_is_fast


def seconds_of(convolution, x):
    """Return those of the fastest of some calls."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        convolution(x)
        found.append(time.perf_counter() - started)
    return min(found)


@torch.no_grad()
def test_bfloat16_is_called_fast_where_it_is():
    convolution, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 32, 32)
    plain = seconds_of(convolution, x)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = seconds_of(convolution, x)
    assert bfloat16_is_fast() == (narrow < 10 * plain)


def test_an_accelerator_is_asked_nothing():
    assert bfloat16_is_fast(torch.device("cuda"))
