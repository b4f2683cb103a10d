"""parans for PyTorch: tensors in, tensors out."""

import torch as _torch

from parans import _files, _frames


def decompress(data, *, max_size=None, device="cpu"):
    """The tensor that :func:`parans.compress` was given, on a device.

    Raises ``ValueError`` for a frame that was made of bytes.
    """
    found = _frames.decompress(data, max_size=max_size)
    if isinstance(found, bytes):
        raise ValueError("the frame holds bytes, no tensor: parans.decompress gives them")
    return _torch.from_dlpack(found).to(device)


def save_file(tensors, filename, metadata=None, *, base=None):
    """Compresses named tensors to a file, as ``safetensors.torch.save_file`` writes them; against
    the checkpoint ``base``, if one is given (:func:`parans.save_file`)."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _files.save_file(ready, filename, metadata, base=base)


def load_file(filename, device="cpu", *, base=None):
    """Gives the tensors of a file by name, on a device; ``base`` as of :func:`parans.open`."""
    with _files.open(filename, base=base) as archive:
        return {name: _torch.from_dlpack(archive[name]).to(device) for name in archive}
