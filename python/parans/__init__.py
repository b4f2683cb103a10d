"""Parallel ANS entropy coding of tensors, checkpoints and bytes, on CPUs and NVIDIA GPUs.

============================================  ==================================================
to                                            use
============================================  ==================================================
compress bytes, an array or a tensor          :func:`compress`, :func:`decompress`
keep named tensors in a file                  :func:`save_file`, :func:`load_file`, :func:`open`
code integers with tables                     :class:`Tables`, :class:`Coder`, :class:`Streams`
code integers with a distribution of each     :class:`ModelCoder` and the models it takes
code the latents of a learned compressor      :class:`GaussianConditional`,
                                              :class:`EntropyBottleneck`, :func:`quantise`
run torch_ans' or CompressAI's callers        :mod:`parans.torch_ans`, :mod:`parans.compressai`
compress PyTorch's distributed checkpoints    :mod:`parans.dcp`
compress zarr's and HDF5's chunks             :mod:`parans.zarr`, :mod:`parans.numcodecs`
============================================  ==================================================

Arrays are numpy's, or any object with ``__dlpack__`` (PyTorch, JAX, CuPy). What cannot be right is
a ``ValueError``; damaged bytes and failing devices are a :class:`parans.Error`.
"""

from parans._coders import Coder
from parans._files import Archive, Writer, load_file, open, save_file
from parans._frames import compress, decompress
from parans._parans import (
    Distributions,
    EntropyBottleneck,
    Error,
    GaussianConditional,
    Mixtures,
    ModelCoder,
    Pmfs,
    Streams,
    Tables,
    Tensor,
    Uniforms,
    __version__,
    quantise,
)

__all__ = [
    "Archive",
    "Coder",
    "Distributions",
    "EntropyBottleneck",
    "Error",
    "GaussianConditional",
    "Mixtures",
    "ModelCoder",
    "Pmfs",
    "Streams",
    "Tables",
    "Tensor",
    "Uniforms",
    "Writer",
    "__version__",
    "compress",
    "decompress",
    "load_file",
    "open",
    "quantise",
    "save_file",
]
