"""A codec of zarr 3: ``zarr.create_array(..., compressors=ParansCodec())``.

It takes bytes and gives bytes, as zarr's compressors do, and learns the element type from the
array's metadata. So it stands behind any serializer (zarr's ``bytes`` and text codecs, shards),
before or after other compressors, and zarr's default compressor is not put behind it, as it would
be behind a serializer. Importing this module registers it; zarr also finds it by its entry point.
"""

import asyncio
import dataclasses

import numpy
from zarr.abc.codec import BytesBytesCodec
from zarr.registry import register_codec

from parans import _parans
from parans.numcodecs import compress


@dataclasses.dataclass(frozen=True)
class ParansCodec(BytesBytesCodec):
    """Compresses the chunks of an array by its element type.

    Text and structures are coded as plain bytes. ``chunk_size`` is the bytes
    of a zarr chunk that are coded together, as :func:`parans.compress` has it. Damaged chunks
    raise :class:`parans.Error`.
    """

    is_fixed_size = False

    chunk_size: int | None = None

    @classmethod
    def from_dict(cls, data):
        if data["name"] != "parans":
            raise ValueError(f"the metadata of codec {data['name']!r}, not of 'parans'")
        return cls(**(data.get("configuration") or {}))

    def to_dict(self):
        given = {} if self.chunk_size is None else {"chunk_size": self.chunk_size}
        return {"name": "parans", "configuration": given}

    def _encode_sync(self, chunk_bytes, chunk_spec):
        data = numpy.ascontiguousarray(chunk_bytes.as_numpy_array())
        # In zarr 3.0 it is numpy's own type.
        dtype = chunk_spec.dtype
        dtype = dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else dtype
        frame = compress(data, dtype, self.chunk_size)
        return chunk_spec.prototype.buffer.from_bytes(frame)

    def _decode_sync(self, chunk_bytes, chunk_spec):
        data = _parans.decompress(numpy.ascontiguousarray(chunk_bytes.as_numpy_array()))
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _encode_single(self, chunk_bytes, chunk_spec):
        return await asyncio.to_thread(self._encode_sync, chunk_bytes, chunk_spec)

    async def _decode_single(self, chunk_bytes, chunk_spec):
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    def compute_encoded_size(self, input_byte_length, chunk_spec):
        raise NotImplementedError("the size of compressed bytes depends on their content")


register_codec("parans", ParansCodec)
