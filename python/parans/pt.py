"""What ``torch.save`` writes, coded tensor by tensor.

``torch.save`` writes a zip archive whose members are stored as they are: ``NAME/data.pkl``, a
pickle that says which storages there are and of which element type, then one member
``NAME/data/KEY`` per storage. :class:`Writer` finds the storages while the archive passes through
it. The frame holds the archive byte for byte; what is not understood is coded as plain bytes.
"""

import struct

import torch

from parans import _parans
from parans._pickle import storages

# Bytes in front of the first storage that are held until it begins: the pickle is most of them.
_HELD = 64 << 20

_LOCAL = b"PK\x03\x04"

# Element types that parans has, and as which the elements of others are coded.
_KNOWN = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool}
_KNOWN |= {torch.int8, torch.int16, torch.int32, torch.int64, torch.float8_e4m3fn}
_KNOWN |= {torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.float8_e5m2}
_LIKE = {
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
    torch.float8_e4m3fnuz: torch.float8_e4m3fn,
    torch.float8_e5m2fnuz: torch.float8_e5m2,
}
class Writer:
    """A binary file for ``torch.save`` that writes a frame to another binary file.

    Held in memory are what lies in front of the first storage (more than 64 MiB is coded as
    plain bytes), and a storage that does not come in one piece, until it is whole. PyTorch writes
    each storage in one piece. :meth:`close` ends the frame; the other file stays open.
    """

    def __init__(self, output, *, chunk_size=None):
        self._frame = _parans.FrameFile(output, chunk_size=chunk_size)
        self._plain = bytearray()
        self._scanned = 0
        # What the pickle says of the storages that have not come yet; None until it was read.
        self._storages = None
        self._recognising = True
        # The storage that comes next: name, bytes and element type; and its first part.
        self._storage = None
        self._part = bytearray()
        self.written = 0

    def writable(self):
        return True

    def flush(self):
        """Does nothing: a frame has no form for a part of a chunk."""

    def write(self, data):
        view = memoryview(data).cast("B")
        self.written += len(view)
        length = len(view)
        while view:
            if self._storage is not None:
                view = self._write_storage(view)
            elif self._recognising:
                view = self._write_between(view)
            else:
                self._frame.write(view)
                break
        return length

    def close(self):
        """Ends the frame. A second call does nothing."""
        self._write_plain(len(self._plain))
        if self._part:
            self._frame.write(self._part)
            self._part = bytearray()
        self._frame.finish()

    def _write_plain(self, end):
        if end:
            self._frame.write(self._plain[:end])
            del self._plain[:end]
        self._scanned = 0

    def _write_between(self, view):
        """Takes what lies between storages, and gives what begins with a storage."""
        held = len(self._plain)
        self._plain += view[: 1 << 16]
        begin = self._next_storage()
        if begin is not None:
            del self._plain[begin:]
            self._write_plain(begin)
            return view[begin - held :]
        alien = len(self._plain) >= 4 and self._storages is None and self._plain[:4] != _LOCAL
        if alien or len(self._plain) > _HELD:
            self._recognising = False
            self._write_plain(len(self._plain))
        return view[1 << 16 :]

    def _next_storage(self):
        """Where the next storage begins in the held bytes, if it begins there."""
        plain = self._plain
        while (at := plain.find(_LOCAL, self._scanned)) >= 0:
            self._scanned = at
            if len(plain) < at + 30:
                return None
            name_length, extra_length = struct.unpack_from("<HH", plain, at + 26)
            begin = at + 30 + name_length + extra_length
            if len(plain) < begin:
                return None
            name = plain[at + 30 : at + 30 + name_length].decode("utf-8", "replace")
            self._scanned = begin
            if self._is_storage(name):
                return begin
        self._scanned = max(self._scanned, len(plain) - 3)
        return None

    def _is_storage(self, name):
        """Whether a member of the archive is a storage; it is the next that comes."""
        folder, _, key = name.rpartition("/")
        if folder.rpartition("/")[2] != "data":
            return False
        if self._storages is None:
            self._storages = self._read_pickle()
        size, dtype = self._storages.pop(key, (0, None))
        self._storage = (name, size, _LIKE.get(dtype, dtype)) if size else None
        return self._storage is not None

    def _read_pickle(self):
        name_length, extra_length = struct.unpack_from("<HH", self._plain, 26)
        begin = 30 + name_length + extra_length
        if not self._plain[30 : 30 + name_length].endswith(b"/data.pkl"):
            return {}
        try:
            return storages(bytes(self._plain[begin:]))
        except ValueError:
            return {}

    def _write_storage(self, view):
        """Takes what belongs to the storage, and gives what follows it."""
        name, size, dtype = self._storage
        missing = size - len(self._part)
        here, rest = view[:missing], view[missing:]
        if len(here) < size:
            self._part += here
            here = self._part
        if len(here) == size:
            if dtype not in _KNOWN or size % dtype.itemsize:
                self._frame.write(here)
            else:
                self._frame.add(name, here, str(dtype).removeprefix("torch."))
            self._storage = None
            self._part = bytearray()
        return rest

