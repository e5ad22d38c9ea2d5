"""Which processor is trusted with bfloat16, and what others compute in its place."""

import time

import pytest
import torch
import torch.nn.functional as F

from benchmarks.bfloat16 import Bfloat16ByFloat32
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


@pytest.fixture(scope="module")
def step():
    """Return a function that gives what a small layer of each kind makes of an input, and all gradients."""
    torch.manual_seed(0)
    convolution, norm = torch.nn.Conv2d(8, 16, 3, padding=1), torch.nn.GroupNorm(4, 16)
    linear, query = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16, bias=False)
    x = torch.randn(2, 8, 8, 8, requires_grad=True)
    weights = [x, convolution.weight, convolution.bias, linear.weight, linear.bias, query.weight]

    def of(*, autocast):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast, cache_enabled=False):
            h = F.silu(norm(convolution(x))).flatten(2).transpose(1, 2)
            q, k = (layer(h).unflatten(2, (2, 8)).transpose(1, 2) for layer in (query, linear))
            attended = F.scaled_dot_product_attention(q, k, k).transpose(1, 2).flatten(2)
            y = attended @ attended.transpose(1, 2)
        return [y, *torch.autograd.grad(y.float().square().mean(), weights)]

    return of


def distance(found, others):
    """Return the largest relative distance of the tensors of two lists."""
    return max(((a.float() - b.float()).norm() / b.float().norm()).item() for a, b in zip(found, others, strict=True))


def test_emulated_bfloat16_is_as_far_from_float32_as_the_real_one_and_closer_to_that(step):
    plain, real = step(autocast=False), step(autocast=True)
    with Bfloat16ByFloat32():
        emulated = step(autocast=True)
    assert [each.dtype for each in emulated] == [each.dtype for each in real]
    assert emulated[0].dtype == torch.bfloat16
    assert 0.5 * distance(real, plain) < distance(emulated, plain) < 1.5 * distance(real, plain)
    assert distance(emulated, real) < distance(real, plain)


def test_one_product_in_emulated_bfloat16_is_that_of_float32_rounded():
    a, b = torch.randn(64, 64).bfloat16(), torch.randn(64, 64).bfloat16()
    with Bfloat16ByFloat32():
        found = a @ b
    assert torch.equal(found, (a.float() @ b.float()).bfloat16())


def test_float32_is_left_alone(step):
    plain = step(autocast=False)
    with Bfloat16ByFloat32():
        assert all(map(torch.equal, step(autocast=False), plain))


@torch.no_grad()
def test_emulated_bfloat16_keeps_nobody_waiting():
    convolution, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 32, 32)
    plain = seconds_of(convolution, x)
    with torch.autocast("cpu", torch.bfloat16), Bfloat16ByFloat32():
        assert seconds_of(convolution, x) < 10 * plain
