"""The header of a safetensors file."""

import json

_CODES = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int8": "I8",
    "uint8": "U8",
    "int16": "I16",
    "uint16": "U16",
    "int32": "I32",
    "uint32": "U32",
    "int64": "I64",
    "uint64": "U64",
    "bool": "BOOL",
}


def dtype_name(tensor):
    """The name of a tensor's element type in numpy, ml_dtypes and PyTorch."""
    dtype = tensor.dtype
    return getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")


def order(item):
    """Where a named tensor stands in a file: wide elements first, then by name, as safetensors
    has it, so that all are aligned."""
    name, tensor = item
    return -width(dtype_name(tensor)), name


def head(tensors, metadata):
    """The header of a safetensors file of these tensors."""
    header = {} if metadata is None else {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors:
        kind = dtype_name(tensor)
        if kind not in _CODES:
            raise ValueError(f"tensor {name!r}: safetensors has no element type {kind}")
        size = 1
        for length in tensor.shape:
            size *= int(length)
        begin, end = end, end + size * width(kind)
        shape = [int(length) for length in tensor.shape]
        header[name] = {"dtype": _CODES[kind], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def width(kind):
    if kind == "bool" or kind.startswith("float8"):
        return 1
    return int("".join(filter(str.isdigit, kind))) // 8
