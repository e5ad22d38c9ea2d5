"""Intervals for the means of what was measured."""

from collections.abc import Sequence

import torch


def bootstrap_interval(values: Sequence[float], *, resamples: int = 4000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of `values`, for paired data of their differences.

    Source: Efron & Tibshirani 1993, chapter 13.
    """
    sample = torch.tensor(values, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    means = sample[torch.randint(len(sample), (resamples, len(sample)), generator=generator)].mean(1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
