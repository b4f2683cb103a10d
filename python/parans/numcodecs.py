"""A codec of numcodecs, for version 2 of zarr's format and for all else that takes such codecs.

Importing this module registers it; numcodecs also finds it by its entry point::

    codec = numcodecs.get_codec({"id": "parans"})
"""

import numpy
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy
from numcodecs.registry import register_codec

from parans import _parans


def element(dtype):
    """The element type as which numpy's elements of a dtype are coded; None for plain bytes.

    Complex numbers are pairs of floats, dates and durations 64-bit integers. Text and structures
    are plain bytes. Big-endian numbers are given as little-endian ones: their bytes are compressed
    almost as well, and better than plain bytes.
    """
    dtype = numpy.dtype(dtype)
    if dtype.kind == "c" and dtype.itemsize in (8, 16):
        return f"float{dtype.itemsize * 4}"
    if dtype.kind in "mM":
        return "int64"
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        return dtype.name
    # Types of the ml_dtypes package that parans has.
    return dtype.name if dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2") else None


def compress(data, dtype, chunk_size=None):
    """A frame of bytes that are elements of a numpy dtype, as far as they are whole elements.

    ``data`` is a contiguous array of any type. Which type it was is not in the frame: what comes
    back are bytes.
    """
    data = data.view("u1")
    kind = element(dtype)
    segments = [(data.nbytes, kind)] if data.nbytes % numpy.dtype(dtype).itemsize == 0 else []
    return _parans.compress_bytes(data, chunk_size=chunk_size, segments=segments)


class Parans(Codec):
    """Compresses arrays by their element type, and other buffers as bytes.

    ``chunk_size`` is the bytes that are coded together, as :func:`parans.compress` has it. Damaged
    bytes raise :class:`parans.Error`.
    """

    codec_id = "parans"
    # A frame may be of any length.
    max_buffer_size = None

    def __init__(self, chunk_size=None):
        self.chunk_size = chunk_size

    def encode(self, buf):
        array = ensure_contiguous_ndarray(buf, self.max_buffer_size)
        return compress(array, array.dtype, self.chunk_size)

    def decode(self, buf, out=None):
        data = ensure_contiguous_ndarray(buf, self.max_buffer_size).view("u1")
        if out is not None:
            out = ensure_contiguous_ndarray(out)
        # More than what fits is not decoded.
        found = _parans.decompress(data, max_size=None if out is None else out.nbytes)
        return ndarray_copy(found, out)


register_codec(Parans)
