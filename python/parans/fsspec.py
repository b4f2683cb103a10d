"""Frames through fsspec: ``fsspec.open("x.parans", compression="infer")``.

:func:`register` makes ``"parans"`` a compression of fsspec, for names that end in ``.parans``.
"""

import io

from fsspec.compression import register_compression

from parans import _parans
from parans._files import open as _open


def register():
    """Registers the compression; a second call does nothing new."""
    register_compression("parans", open, "parans", force=True)


def open(infile, mode="rb", *, chunk_size=None):
    """The content of a frame as a binary file: to read it from ``infile``, or to write it.

    What is read seeks, and only the chunks that are read are decoded; a file that cannot seek is
    read into memory. What is written goes on in chunks; closing the file ends the frame and leaves
    ``infile`` open. Damaged frames raise :class:`parans.Error`.
    """
    if mode.strip("bt") == "r":
        seekable = getattr(infile, "seekable", lambda: True)()
        return _open(infile if seekable else io.BytesIO(infile.read())).file()
    if mode.strip("bt") in ("w", "x"):
        return io.BufferedWriter(_Frame(infile, chunk_size), 1 << 16)
    raise ValueError(f"mode {mode!r}: a frame is read or written, and never changed")


class _Frame(io.RawIOBase):
    """A frame to which content is written."""

    def __init__(self, output, chunk_size):
        self._frame = _parans.RecognisingFile(output, chunk_size=chunk_size)

    def writable(self):
        return True

    def write(self, data):
        return self._frame.write(data)

    def close(self):
        if not self.closed:
            self._frame.finish()
        super().close()
