"""One tensor or one string of bytes to a frame, and back."""

from parans import _parans


def is_tensor(data):
    """Whether data has elements of a type and a shape, and is not plain bytes."""
    return not isinstance(data, (bytes, bytearray, memoryview)) and (
        hasattr(data, "__dlpack__") or hasattr(data, "__array__")
    )


def compress(data, *, chunk_size=None):
    """Compresses a bytes-like object, or an array or tensor with its type and shape, to a frame.

    Bytes of safetensors, npy and npz files are recognised, and every tensor in them is coded by
    its type. ``chunk_size`` is the content bytes that are coded together, 8 to 2**24.

    Raises ``ValueError`` for elements of a type that parans does not have.
    """
    work = _parans.compress_tensor if is_tensor(data) else _parans.compress_bytes
    return work(data, chunk_size=chunk_size)


def decompress(data, *, max_size=None):
    """Gives what :func:`compress` was given: ``bytes`` for bytes, a numpy array for a tensor, or a
    :class:`parans.Tensor` for element types that numpy lacks (bfloat16, 8-bit floats).

    ``max_size`` bounds the bytes that may come out; more raises :class:`parans.Error`. Damaged
    frames raise it as well.
    """
    return _parans.decompress(data, max_size=max_size)
