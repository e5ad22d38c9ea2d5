"""Which numbers a processor computes fast."""

import torch


def bfloat16_is_fast(device: torch.device | None = None) -> bool:
    """Tell whether a device computes in bfloat16; None = the processor, an accelerator is taken to.

    A processor that does not (most x86 without AVX-512) takes a hundred times as long for it as for float32: PyTorch
    then computes each convolution value by value.
    """
    if device is not None and device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
