"""torch_ans 0.4.0 on parans: the same operators, interface and bytes.

:func:`install` makes an unmodified torch_ans use parans' operators; call it before torch_ans is
imported. Without torch_ans installed, :class:`TorchANSInterface` and the functions here are those
of ``torch_ans.utils``::

    from parans.torch_ans import TorchANSInterface
"""

from parans.torch_ans._interface import TorchANSInterface
from parans.torch_ans._operators import module
from parans.torch_ans._utils import (
    auto_inverse_cdf_precision,
    build_cdf_with_inverse_table,
    inverse_quantized_cdf,
    merge_bytes,
    pmf_to_quantized_cdf_batched,
    split_merged_bytes,
)

__all__ = [
    "TorchANSInterface",
    "auto_inverse_cdf_precision",
    "build_cdf_with_inverse_table",
    "install",
    "inverse_quantized_cdf",
    "merge_bytes",
    "module",
    "pmf_to_quantized_cdf_batched",
    "split_merged_bytes",
]


def install():
    """Puts parans' operators in the place of torch_ans' native module ``torch_ans._C``.

    Raises ``RuntimeError`` where ``torch_ans.utils`` has taken its own already, and
    ``ImportError`` where torch_ans is not installed.
    """
    import sys

    operators = module()
    taken = sys.modules.get("torch_ans.utils")
    if taken is not None and taken._native_C is not operators:
        raise RuntimeError("torch_ans.utils is imported already: call install() before it")
    sys.modules["torch_ans._C"] = operators
    import torch_ans

    torch_ans._C = operators
    return operators
