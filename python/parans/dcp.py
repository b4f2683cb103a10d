"""Compressed checkpoints of PyTorch's distributed checkpoint engine (DCP).

A checkpoint is saved and loaded by any number of processes::

    import torch.distributed.checkpoint as dcp

    dcp.save(state, storage_writer=parans.dcp.writer(path))
    dcp.load(state, storage_reader=parans.dcp.reader(path))

DCP cuts the tensors, writes one file or more per process, and loads what each process asks for,
also where other processes saved it. Each tensor passes through :class:`ParansExtension`, which
codes it by its element type. Other writers of DCP take it as ``_extensions=[ParansExtension()]``.
"""

import contextlib
import dataclasses
import io
import os

from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint._extension import ExtensionRegistry, StreamTransformExtension
from torch.distributed.checkpoint.filesystem import (
    FileSystem,
    SerializationFormat,
    _StorageReaderTransforms,
)

from parans import _parans
from parans._files import _PIECE, _Content
from parans._files import open as _open

_NO_SAFETENSORS = (
    "DCP's SAFETENSORS format cannot be compressed: its writer does not pass tensors through "
    "extensions, and its metadata has their uncompressed lengths. Use TORCH_SAVE, the default."
)


class ParansExtension(StreamTransformExtension):
    """Compresses each tensor or object that DCP writes, and decompresses it as it is read.

    ``chunk_size`` is the bytes of a tensor that are coded together, as :func:`parans.compress`
    has it. Damaged bytes raise :class:`parans.Error`, which DCP gives in the ``failures`` of its
    ``CheckpointException``.
    """

    def __init__(self, chunk_size=None):
        super().__init__()
        self._chunk_size = chunk_size

    @staticmethod
    def registry_name():
        return "stream.parans"

    @staticmethod
    def from_descriptor(version):
        if version.partition(".")[0] != "1":
            raise ValueError(f"version {version!r} of stream.parans; this is version 1")
        return ParansExtension()

    def get_descriptor(self):
        return f"{self.registry_name()}/1"

    def transform_to(self, output):
        return _Writing(output, self._chunk_size)

    def transform_from(self, input):
        archive = _open(_Content(_Part(input)))
        if archive.content_length <= _PIECE:
            # PyTorch reads a file's ends many times over; here they are decoded once.
            return io.BytesIO(archive.read(0, archive.content_length))
        return archive.file()


class _Writing:
    """The stream to which DCP writes one tensor or object as ``torch.save`` does, whose storages
    are coded by their element types."""

    def __init__(self, output, chunk_size):
        self._output = output
        self._frame = _parans.RecognisingFile(output, chunk_size=chunk_size)
        self._written = 0

    def writable(self):
        return True

    def write(self, data):
        self._written += (length := self._frame.write(data))
        return length

    def flush(self):
        """Does nothing: a frame has no form for a part of a chunk."""

    def close(self):
        if not self._written:
            raise ValueError(_NO_SAFETENSORS)
        self._frame.finish()
        self._output.close()


class _Part:
    """A part of a file as DCP gives it, to be read by positions in the part: DCP's own answers to
    ``seek`` are positions in the whole file."""

    def __init__(self, view):
        self._view = view
        view.seek(0, io.SEEK_END)
        self.content_length = view.tell()

    def read(self, start, stop):
        self._view.seek(start)
        return self._view.read(stop - start)


class _Files(FileSystem):
    """A file system where new metadata takes the place of the old in one step."""

    def rm_file(self, path):
        """Removes nothing: the writer removes the old metadata only to rename the new."""

    def rename(self, path, new_path):
        os.replace(path, new_path)


class _Writer(FileSystemWriter):
    """DCP's writer to a directory, where the earlier checkpoint stays whole until the new one is.

    DCP gives the files of each save the same names, so that a save that fails has overwritten
    parts of the earlier checkpoint. Here each save has names of its own.
    """

    def __init__(self, path, **options):
        super().__init__(path, **options)
        self.fs = _Files()

    def write_data(self, plan, planner):
        prefix = dataclasses.replace(
            plan.storage_data, prefix=f"{plan.storage_data.prefix}{self.save_id}_"
        )
        return super().write_data(dataclasses.replace(plan, storage_data=prefix), planner)

    def finish(self, metadata, results):
        super().finish(metadata, results)
        if self.use_collectives:
            self._remove_all_but({part.relative_path for part in metadata.storage_data.values()})

    def _remove_all_but(self, used):
        """Removes data files that no metadata names: of earlier saves, and of saves that failed."""
        folder = os.fspath(self.path)
        names = os.listdir(folder)
        if any(name.startswith("__") and name.endswith(".metadata") for name in names):
            # Another save had metadata per process; which files those name is not known here.
            return
        for name in names:
            if name.startswith("__") and name.endswith(".distcp") and name not in used:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def writer(path, *, chunk_size=None, **options):
    """A storage writer for ``dcp.save``, to a directory or to a URL that fsspec opens.

    ``options`` go to DCP's ``FileSystemWriter`` or ``FsspecWriter``. Where a save to a directory
    fails, the checkpoint that was there stays whole.

    Raises ``ValueError`` for ``SerializationFormat.SAFETENSORS``, which DCP does not compress.
    """
    if options.get("serialization_format") is SerializationFormat.SAFETENSORS:
        raise ValueError(_NO_SAFETENSORS)
    kind = _Writer
    if _is_url(path):
        from torch.distributed.checkpoint.fsspec_filesystem import FsspecWriter as kind
    return kind(path, _extensions=[ParansExtension(chunk_size)], **options)


def reader(path, **options):
    """A storage reader for ``dcp.load``, of a directory or a URL that fsspec opens. It reads
    checkpoints that are not compressed as well. ``options`` of a URL go to fsspec."""
    kind = FileSystemReader
    if _is_url(path):
        from torch.distributed.checkpoint.fsspec_filesystem import FsspecReader as kind
    made = kind(path, **options)
    registry = ExtensionRegistry()
    registry.register(ParansExtension)
    # FsspecReader has no argument for it.
    made.transforms = _StorageReaderTransforms(registry)
    return made


def _is_url(path):
    return isinstance(path, str) and "://" in path
