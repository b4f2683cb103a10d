"""The header of a safetensors file."""

import json
import math

from parans import _parans


def dtype_name(tensor):
    """The name of a tensor's element type in numpy, ml_dtypes and PyTorch."""
    dtype = tensor.dtype
    return getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")


def ordered(tensors):
    """Named tensors as a list of name, tensor, safetensors' name of the element type and bytes per
    element: wide elements first, then by name, as safetensors has it, so that all are aligned.

    Raises ``ValueError`` for an element type that safetensors does not have.
    """
    described = []
    for name, tensor in tensors.items():
        try:
            described.append((name, tensor, *_parans.element_type(dtype_name(tensor))))
        except (ValueError, _parans.Error) as error:
            raise ValueError(f"tensor {name!r}: {error}") from None
    return sorted(described, key=lambda part: (-part[3], part[0]))


def head(described, metadata):
    """The header of a safetensors file of these tensors."""
    header = {} if metadata is None else {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor, code, width in described:
        shape = [int(length) for length in tensor.shape]
        begin, end = end, end + math.prod(shape) * width
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
