"""Which processor is trusted with bfloat16."""

import time

import pytest
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
def test_who_is_told_that_bfloat16_is_fast_is_not_kept_waiting():
    convolution, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 32, 32)
    plain = seconds_of(convolution, x)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = seconds_of(convolution, x)
    assert not bfloat16_is_fast() or narrow < 10 * plain


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="convolutions are of another library")
@pytest.mark.skipif(not torch.backends.cpu.get_cpu_capability().startswith("AVX512"), reason="needs AVX-512")
def test_a_processor_with_avx_512_has_it():
    assert bfloat16_is_fast()


def test_an_accelerator_is_asked_nothing():
    assert bfloat16_is_fast(torch.device("cuda"))
