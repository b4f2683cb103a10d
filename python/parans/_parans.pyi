# What the extension module has; ``stubtest parans._parans`` compares the two.
from collections.abc import Sequence
from os import PathLike
from typing import Any, TypeAlias, final

import numpy as np
from typing_extensions import Buffer, disjoint_base

# An array of numpy, an object with ``__dlpack__``, or what ``numpy.asarray`` takes.
_Array: TypeAlias = Any
# The name of an element type, or numpy's or PyTorch's object for it.
_DType: TypeAlias = Any
# A handle of a CUDA stream, or an object with ``cuda_stream``.
_Stream: TypeAlias = Any
_Operator: TypeAlias = tuple[str, int, bool]

__all__ = [
    "Archive",
    "BufferedRansEncoder",
    "Coder",
    "Distributions",
    "EntropyBottleneck",
    "Error",
    "FrameFile",
    "GaussianConditional",
    "Mixtures",
    "ModelCoder",
    "Pmfs",
    "RansDecoder",
    "RansEncoder",
    "RecognisingFile",
    "Streams",
    "Tables",
    "Tensor",
    "Uniforms",
    "__version__",
    "alias_tensors",
    "compress_bytes",
    "compress_tensor",
    "decode_batch",
    "decompress",
    "element_type",
    "encode_batch",
    "inverse_cdf",
    "quantise",
    "quantised_cdf",
    "tans_tensor",
    "torch_ans_coder",
    "torch_ans_initial",
    "torch_ans_pop",
    "torch_ans_push",
    "torch_ans_stream",
    "torch_ans_strings",
    "write_file",
]

__version__: str

class Error(Exception): ...

@final
class Tensor:
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device_name(self) -> str: ...
    def tobytes(self) -> bytes: ...
    def numpy(self) -> np.ndarray: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray: ...
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

@final
class Tables:
    @staticmethod
    def from_pmf(
        pmf: _Array,
        precision: int = 16,
        *,
        sizes: _Array | None = None,
        offsets: _Array | None = None,
        sentinel: bool | str | None = None,
    ) -> Tables: ...
    @staticmethod
    def from_counts(
        counts: _Array,
        precision: int = 16,
        *,
        sizes: _Array | None = None,
        offsets: _Array | None = None,
        sentinel: bool | str | None = None,
    ) -> Tables: ...
    @staticmethod
    def from_cdf(
        cdf: _Array,
        precision: int = 16,
        *,
        sizes: _Array | None = None,
        offsets: _Array | None = None,
    ) -> Tables: ...
    @property
    def precision(self) -> int: ...
    def __len__(self) -> int: ...
    def alphabet(self, table: int) -> int: ...
    def offset(self, table: int) -> int: ...
    def cdf(self, table: int) -> np.ndarray: ...

@final
class Streams:
    def __new__(cls, rows: int, family: str = "rans64", lanes: int = 1) -> Streams: ...
    @staticmethod
    def from_byte_strings(
        strings: Sequence[Buffer], family: str = "rans64", lanes: int = 1
    ) -> Streams: ...
    @staticmethod
    def from_merged(
        data: Buffer,
        family: str = "rans64",
        lanes: int = 1,
        *,
        length_bytes: int = 4,
        rows: int | None = None,
    ) -> Streams: ...
    @staticmethod
    def from_tensor(tensor: _Array, family: str = "rans64", lanes: int = 1) -> Streams: ...
    @property
    def family(self) -> str: ...
    @property
    def lanes(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    def byte_string(self, row: int) -> bytes: ...
    def byte_strings(self) -> list[bytes]: ...
    def merged(self, *, length_bytes: int = 4, known_rows: bool = False) -> bytes: ...
    def tensor(self) -> np.ndarray: ...
    def expect_initial(self) -> None: ...
    def copy(self) -> Streams: ...

@disjoint_base
class Coder:
    def __new__(
        cls,
        tables: Tables,
        family: str = "rans64",
        *,
        lanes: int = 1,
        lookup: str = "auto",
        bypass: int | None = None,
        device: str = "cpu",
        length_bytes: int = 4,
        known_rows: bool = False,
        parallel_rows: int | None = None,
        skip_indexes_past_end: bool = False,
    ) -> Coder: ...
    @property
    def family(self) -> str: ...
    @property
    def lanes(self) -> int: ...
    @property
    def tables(self) -> Tables: ...
    def streams(self, rows: int) -> Streams: ...
    def push(
        self,
        streams: Streams,
        symbols: _Array,
        indexes: _Array | int | None = None,
        *,
        stream: _Stream = None,
    ) -> None: ...
    def pop(
        self,
        streams: Streams,
        indexes: _Array | int | None = None,
        *,
        shape: Sequence[int] | None = None,
        dtype: _DType = None,
        stream: _Stream = None,
    ) -> Any: ...
    def encode(
        self, symbols: _Array, indexes: _Array | int | None = None, *, stream: _Stream = None
    ) -> bytes: ...
    def decode(
        self,
        data: Buffer,
        indexes: _Array | int | None = None,
        *,
        shape: Sequence[int] | None = None,
        dtype: _DType = None,
        stream: _Stream = None,
    ) -> Any: ...

@final
class Distributions:
    def __new__(cls, kind: str, means: _Array, scales: _Array) -> Distributions: ...
    @staticmethod
    def from_fixed(kind: str, means: _Array, scales: _Array) -> Distributions: ...
    @property
    def means(self) -> np.ndarray: ...
    @property
    def scales(self) -> np.ndarray: ...

@final
class Mixtures:
    def __new__(cls, kind: str, means: _Array, scales: _Array, weights: _Array) -> Mixtures: ...

@final
class Pmfs:
    def __new__(
        cls, pmf: _Array, precision: int = 16, *, sentinel: bool = False, offset: int = 0
    ) -> Pmfs: ...
    @staticmethod
    def from_counts(
        counts: _Array, precision: int = 16, *, sentinel: bool = False, offset: int = 0
    ) -> Pmfs: ...

@final
class Uniforms:
    def __new__(cls, lowest: int, size: int, shape: Sequence[int]) -> Uniforms: ...

_Models: TypeAlias = Distributions | Mixtures | Pmfs | Uniforms

@final
class ModelCoder:
    def __new__(
        cls,
        family: str = "rans64",
        lanes: int = 1,
        *,
        precision: int | None = None,
        bypass: int | None = 4,
        device: str = "cpu",
    ) -> ModelCoder: ...
    @property
    def precision(self) -> int: ...
    def streams(self, rows: int) -> Streams: ...
    def push(self, streams: Streams, models: _Models, symbols: _Array) -> None: ...
    def pop(self, streams: Streams, models: _Models, *, dtype: _DType = None) -> np.ndarray: ...
    def encode(self, models: _Models, symbols: _Array) -> bytes: ...
    def decode(self, models: _Models, data: Buffer, *, dtype: _DType = None) -> np.ndarray: ...

@final
class GaussianConditional:
    def __new__(cls, scales: _Array | None = None, precision: int = 16) -> GaussianConditional: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def scales(self) -> np.ndarray: ...
    def build_indexes(self, scales: _Array) -> np.ndarray: ...

@final
class EntropyBottleneck:
    def __new__(
        cls,
        pmfs: Sequence[Sequence[float]],
        offsets: Sequence[int],
        medians: Sequence[float],
        precision: int = 16,
    ) -> EntropyBottleneck: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def medians(self) -> np.ndarray: ...
    def build_indexes(self, positions: int) -> np.ndarray: ...

def quantise(x: _Array, means: _Array) -> np.ndarray: ...

@disjoint_base
class Archive:
    def __new__(
        cls, source: Any, *, bases: Sequence[str | PathLike[str]] | None = None
    ) -> Archive: ...
    def keys(self) -> list[str]: ...
    def info(self, name: str) -> tuple[str | None, list[int], int, int]: ...
    def tensor(self, name: str) -> Tensor: ...
    def read(self, start: int, stop: int) -> bytes: ...
    @property
    def content_length(self) -> int: ...
    @property
    def container(self) -> str: ...

@final
class FrameFile:
    def __new__(
        cls,
        file: Any,
        *,
        chunk_size: int | None = None,
        segments: Sequence[tuple[int, str | None]] | None = None,
    ) -> FrameFile: ...
    def add(self, name: str, data: _Array) -> None: ...
    def add_bytes(self, name: str, data: Buffer) -> None: ...
    def write(self, data: Buffer) -> int: ...
    def finish(self) -> None: ...

@final
class RecognisingFile:
    def __new__(cls, file: Any, *, chunk_size: int | None = None) -> RecognisingFile: ...
    def write(self, data: Buffer) -> int: ...
    def finish(self) -> None: ...

def element_type(name: str) -> tuple[str, int]: ...
def compress_bytes(
    data: Buffer,
    *,
    chunk_size: int | None = None,
    segments: Sequence[tuple[int, str | None]] | None = None,
) -> bytes: ...
def compress_tensor(data: _Array, *, chunk_size: int | None = None) -> bytes: ...
def decompress(data: Buffer, *, max_size: int | None = None) -> Any: ...
def write_file(
    file: Any,
    head: Buffer,
    parts: Sequence[_Array],
    *,
    base: str | PathLike[str] | None = None,
    folder: str | PathLike[str] | None = None,
) -> int: ...
def torch_ans_coder(
    operator: _Operator,
    cdfs: _Array,
    cdfs_sizes: _Array,
    offsets: _Array | None,
    precision: int,
    bypass: int | None,
    device: str = "cpu",
) -> Coder: ...
def torch_ans_push(
    operator: _Operator,
    stream: _Array,
    symbols: _Array,
    indexes: _Array,
    cdfs: _Array,
    cdfs_sizes: _Array,
    offsets: _Array | None,
    precision: int,
    bypass: int | None,
) -> None: ...
def torch_ans_pop(
    operator: _Operator,
    stream: _Array,
    indexes: _Array,
    cdfs: _Array,
    cdfs_sizes: _Array,
    offsets: _Array | None,
    precision: int,
    bypass: int | None,
) -> np.ndarray: ...
def torch_ans_strings(stream: _Array) -> list[bytes]: ...
def torch_ans_stream(strings: Sequence[Buffer]) -> np.ndarray: ...
def torch_ans_initial(family: str, lanes: int) -> np.ndarray: ...
def quantised_cdf(pmf: _Array, precision: int) -> np.ndarray: ...
def inverse_cdf(cdfs: _Array, precision: int, table_precision: int) -> np.ndarray: ...
def alias_tensors(cdfs: _Array, cdfs_sizes: _Array, precision: int) -> list[np.ndarray]: ...
def tans_tensor(cdfs: _Array, cdfs_sizes: _Array, precision: int) -> np.ndarray: ...

@final
class RansEncoder:
    def __new__(cls) -> RansEncoder: ...
    def encode_with_indexes(
        self, symbols: _Array, indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
    ) -> bytes: ...

@final
class BufferedRansEncoder:
    def __new__(cls) -> BufferedRansEncoder: ...
    def encode_with_indexes(
        self, symbols: _Array, indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
    ) -> None: ...
    def flush(self) -> bytes: ...

@final
class RansDecoder:
    def __new__(cls) -> RansDecoder: ...
    def decode_with_indexes(
        self, encoded: Buffer, indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
    ) -> Any: ...
    def set_stream(self, encoded: Buffer) -> None: ...
    def decode_stream(
        self, indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
    ) -> Any: ...

def encode_batch(
    symbols: _Array, indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
) -> list[bytes]: ...
def decode_batch(
    strings: Sequence[Buffer], indexes: _Array, cdfs: _Array, cdfs_sizes: _Array, offsets: _Array
) -> np.ndarray: ...
