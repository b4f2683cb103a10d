"""Files of named tensors: frames whose content is a safetensors file, and any other frame."""

import contextlib
import io
import json
import os

import numpy

from parans import _parans, _safetensors
from parans._frames import is_tensor
from parans._replace import replacing


def save_file(tensors, filename, metadata=None, *, base=None):
    """Compresses named arrays or tensors to a file, with the signature of safetensors' function.

    The content of the file is a safetensors file: ``parans -d`` makes that of it. The file takes
    the place of an earlier one only when it is whole.

    With ``base``, the path of an earlier checkpoint (compressed or not), tensors are coded as their
    differences to those of the same names there. The file is then readable only with that one,
    which it names by its path from its own folder.
    """
    if any(not isinstance(name, str) for name in tensors):
        raise ValueError("the names of tensors are strings")
    described = _safetensors.ordered(tensors)
    head = _safetensors.head(described, metadata)
    with replacing(filename) as file:
        folder = os.path.dirname(os.path.abspath(filename))
        parts = [part[1] for part in described]
        _parans.write_file(file, head, parts, base=base, folder=folder)


def load_file(filename, *, base=None):
    """Gives the tensors of a file as a dictionary by name: numpy arrays, or
    :class:`parans.Tensor` for element types that numpy lacks."""
    with open(filename, base=base) as archive:
        return {name: archive[name] for name in archive}


class Archive(_parans.Archive):
    """A frame opened for reading at random: from a path, bytes, or a binary file object that
    seeks (fsspec's among them). Only the chunks that are asked for are read.

    ``archive[name]`` is a tensor, or bytes; iteration gives the names.
    """

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.keys())

    def __contains__(self, name):
        return name in self.keys()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def __getitem__(self, name):
        if self.container in ("npy", "npz"):
            return self._numpy(name)
        dtype, _, offset, length = self.info(name)
        if dtype is None:
            return self.read(offset, offset + length)
        tensor = self.tensor(name)
        return tensor if dtype.startswith(("bfloat", "float8")) else tensor.numpy()

    def _numpy(self, name):
        """An array of a numpy file, whose own header says how it lies."""
        self.info(name)
        loaded = numpy.load(self.file(), allow_pickle=False)
        return loaded[name] if self.container == "npz" else loaded

    def metadata(self):
        """The ``__metadata__`` of a safetensors content; an empty dictionary where there is
        none."""
        if self.container != "safetensors":
            return {}
        length = int.from_bytes(self.read(0, 8), "little")
        return json.loads(self.read(8, 8 + length)).get("__metadata__", {})

    def file(self):
        """The content as a binary file object that seeks and is read by ranges."""
        return io.BufferedReader(_Content(self), 1 << 16)


def open(source, *, base=None):
    """Opens a frame for reading at random; see :class:`Archive`.

    What is coded against another file is found by the name that the frame gives it, from the
    folder of ``source``; where it has moved, or ``source`` is no path, ``base`` says where it is: a
    path, or a list of them.
    """
    if isinstance(base, (str, os.PathLike)):
        base = [base]
    return Archive(source, bases=base)


# Bytes that are decoded for one read at most: many chunks, so that all cores have some.
_PIECE = 16 << 20


class _Content(io.RawIOBase):
    """The content of an archive as a file."""

    def __init__(self, archive):
        self._archive = archive
        self._length = archive.content_length
        self._at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = base + offset
        return self._at

    def readall(self):
        # Python's own way decodes a chunk again for every few kilobytes of it.
        begin, self._at = self._at, max(self._at, self._length)
        return self._archive.read(min(begin, self._length), self._length)

    def readinto(self, buffer):
        # A large read in pieces, so that what is read is not held twice.
        stop = min(self._at + min(len(buffer), _PIECE), self._length)
        data = self._archive.read(self._at, stop) if stop > self._at else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Writer:
    """Writes named tensors and bytes one after another as one frame, to a path or a binary file
    object. As a context manager it ends the frame; a path then takes the place of an earlier
    file, and after an error nothing is there."""

    def __init__(self, target, *, chunk_size=None):
        self._stack = contextlib.ExitStack()
        file = target
        if not hasattr(target, "write"):
            file = self._stack.enter_context(replacing(target))
        try:
            self._frame = _parans.FrameFile(file, chunk_size=chunk_size)
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise

    def add(self, name, data):
        """Writes an array, a tensor or bytes under a name."""
        (self._frame.add if is_tensor(data) else self._frame.add_bytes)(name, data)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self._frame.finish()
            except BaseException as failed:
                self._stack.__exit__(type(failed), failed, failed.__traceback__)
                raise
        return self._stack.__exit__(kind, error, trace)
