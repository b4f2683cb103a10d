"""What torch_ans' high-level interface is made of: its arguments, its tables, and their coder."""

import torch

from parans import _parans
from parans.torch_ans import _operators, _tables
from parans.torch_ans._capacity import LARGEST_PRECISION, family_of
from parans.torch_ans._utils import auto_inverse_cdf_precision


class Base:
    """The arguments, tables and coder of torch_ans' interface."""

    def __init__(
        self,
        impl="rans64",
        bypass_coding=True,
        bypass_precision=4,
        num_parallel_states=None,
        num_interleaves=1,
        num_bytes_code_length=4,
        inverse_cdf_precision=None,
        alias_sampling=False,
        incremental_compile=None,
        symbol_precision=8,
        freq_precision=16,
        mode="encdec",
        check_validity=False,
        dtype=torch.int32,
        device=None,
    ):
        self.impl = impl
        family = family_of(impl)
        self.freq_precision = min(freq_precision, LARGEST_PRECISION[family])
        self.symbol_precision = symbol_precision
        self.bypass_coding, self.bypass_precision = bypass_coding, bypass_precision
        self.num_parallel_states = num_parallel_states
        self.num_interleaves = lanes = int(num_interleaves)
        self.num_bytes_code_length = num_bytes_code_length
        self.mode, self.check_validity = mode, check_validity
        self.dtype, self.device = dtype, device
        name = family + ("" if lanes == 1 else f"_i{lanes}")
        operators = _operators.module()
        if not hasattr(operators, f"{name}_push"):
            raise NotImplementedError(f"Unsupported num_interleaves={lanes} for impl {impl}")
        alias = bool(alias_sampling)
        if alias and not hasattr(operators, name.replace(family, f"{family}_alias") + "_push"):
            raise NotImplementedError(
                f"alias sampling is not available for impl={impl} with num_interleaves={lanes}"
            )
        self.alias_sampling, self._is_tans = alias, family.startswith("tans")
        self.inverse_cdf_precision = inverse_cdf_precision
        if inverse_cdf_precision is not None and not alias:
            self._check_inverse(name, operators)
        self._operator = (family, lanes, alias)
        self._queue, self._coder, self._encoded_stream = [], None, None

    def _check_inverse(self, name, operators):
        if not hasattr(operators, f"{name}_invcdf_pop"):
            raise NotImplementedError(
                f"inverse CDF decoding is not available for impl={self.impl} with "
                f"num_interleaves={self.num_interleaves}"
            )
        chosen = self.inverse_cdf_precision
        if not (isinstance(chosen, str) and chosen.strip().lower() == "auto"):
            if not 1 <= int(chosen) <= self.freq_precision:
                raise ValueError(
                    f"inverse_cdf_precision must be in [1, {self.freq_precision}] for impl "
                    f"{self.impl}, got {chosen}"
                )

    def _init_tensor(self, tensor):
        return tensor.to(dtype=self.dtype, device=self.device)

    def init_params(self, freqs, num_freqs, offsets):
        """Makes the tables of frequencies or probabilities of shape (tables, alphabet), of which
        the first ``num_freqs[k]`` count, and the smallest symbol of each."""
        if self.bypass_coding:
            freqs = torch.cat([freqs, torch.zeros_like(freqs[..., :1]) + 1e-10], dim=-1)
        pmf = freqs.float() / freqs.sum(-1, keepdim=True)
        cdfs = _tables.pmf_to_quantized_cdf(pmf, self.freq_precision)
        sizes = num_freqs + (2 if self.bypass_coding else 1)
        if self._is_tans:
            cdfs = _tables.tans_build_tables(cdfs.cpu(), sizes.cpu(), self.freq_precision)
        elif self.alias_sampling:
            bits = int(cdfs.size(-1) - 1).bit_length() - 1
            if 1 << bits != cdfs.size(-1) - 1:
                raise ValueError(
                    "alias sampling requires cdfs_sizes - 1 to be a power of two, got "
                    f"{cdfs.size(-1) - 1}"
                )
            cdfs, table = _tables.alias_build_table(
                cdfs.cpu(), sizes.cpu(), bits, self.freq_precision
            )
            self.cdfs_with_alias_table = self._init_tensor(table).contiguous()
        elif isinstance(self.inverse_cdf_precision, str):
            self.inverse_cdf_precision = auto_inverse_cdf_precision(
                cdfs.size(-1), self.freq_precision, cdfs.size(0)
            )
        if self.inverse_cdf_precision is not None and not (self.alias_sampling or self._is_tans):
            cdfs = _tables.build_inverse_cdf(
                cdfs, self.freq_precision, int(self.inverse_cdf_precision)
            )
        self.set_cdfs(cdfs, sizes, offsets)

    def set_cdfs(self, cdfs, cdfs_sizes, offsets):
        """Takes tables as they are: CDF rows, their sizes, the smallest symbols."""
        self.cdfs = self._init_tensor(cdfs).contiguous()
        self.cdfs_sizes = self._init_tensor(cdfs_sizes).contiguous()
        self.offsets = self._init_tensor(offsets).contiguous()
        self._coder = None

    def _coder_of(self, tables=None):
        """The coder of these tables, or of the interface's own."""
        if tables is None and self._coder is not None:
            return self._coder
        given = tables or (self.cdfs, self.cdfs_sizes, self.offsets)
        digits = self.bypass_precision if self.bypass_coding else None
        device = "cpu"
        if self.device is not None and torch.device(self.device).type == "cuda":
            device = f"cuda:{torch.device(self.device).index or 0}"
        coder = _parans.torch_ans_coder(
            self._operator, *map(_tables.host, given), self.freq_precision, digits, device
        )
        if tables is None:
            self._coder = coder
        return coder

    def _array(self, tensor, rows, padding=0):
        """A tensor as what the coder takes, cut into rows and padded to them."""
        if tensor.numel() % rows:
            more = -tensor.numel() % rows
            tensor = torch.nn.functional.pad(tensor.reshape(-1), (0, more), value=padding)
        tensor = tensor.reshape(rows, -1)
        if self.device is not None:
            tensor = tensor.to(self.device)
        if tensor.is_cuda:
            return tensor.to(torch.int32).contiguous()
        return tensor.detach().contiguous().numpy()

    def _stream(self, tensor):
        if not tensor.is_cuda:
            return None
        return torch.cuda.current_stream(tensor.device)

    def _check_indexes(self, indexes):
        if self.check_validity and indexes is not None:
            if bool((indexes < 0).any()) or bool((indexes >= self.offsets.size(0)).any()):
                raise ValueError("dist_indexes contain out-of-range values.")

    def _by_freqs(self, shape, freqs, num_freqs, smallest):
        """Makes tables of each symbol's own frequencies; gives the indexes."""
        if num_freqs is None:
            num_freqs = torch.full(shape, freqs.shape[-1], dtype=torch.int32)
        if smallest is None:
            smallest = torch.zeros(shape, dtype=torch.int32)
        rows = freqs.reshape(-1, freqs.shape[-1])
        self.init_params(rows, num_freqs.reshape(-1), smallest.reshape(-1))
        return torch.arange(num_freqs.numel(), dtype=torch.int32).reshape(shape)

    def _push(self, streams, rows, symbols, indexes, freqs=None, num_freqs=None, smallest=None,
              cdfs=None, cdfs_sizes=None, offsets=None):
        if indexes is None and freqs is None:
            raise NotImplementedError("give dist_indexes or dist_freqs")
        if indexes is None:
            assert symbols.shape == freqs.shape[:-1]
            indexes = self._by_freqs(symbols.shape, freqs, num_freqs, smallest)
        assert symbols.shape == indexes.shape, "symbols and dist_indexes have the same shape"
        self._check_indexes(indexes)
        coder = self._coder_of(None if cdfs is None else (cdfs, cdfs_sizes, offsets))
        if streams is None:
            streams = coder.streams(rows if self.num_parallel_states is None
                                    else self.num_parallel_states)
        rows = len(streams)
        coder.push(streams, self._array(symbols, rows), self._array(indexes, rows, -1),
                   stream=self._stream(symbols))
        return streams

    def _pop(self, streams, indexes, freqs=None, num_freqs=None, smallest=None,
             cdfs=None, cdfs_sizes=None, offsets=None):
        if indexes is None and freqs is None:
            raise NotImplementedError("give dist_indexes or dist_freqs")
        if indexes is None:
            indexes = self._by_freqs(freqs.shape[:-1], freqs, num_freqs, smallest)
        self._check_indexes(indexes)
        coder = self._coder_of(None if cdfs is None else (cdfs, cdfs_sizes, offsets))
        array = self._array(indexes, self.num_parallel_states or len(streams), -1)
        found = coder.pop(streams, array, stream=self._stream(indexes))
        symbols = torch.from_dlpack(found) if indexes.is_cuda else torch.from_numpy(found)
        if symbols.shape != indexes.shape:
            symbols = symbols.reshape(-1)[: indexes.numel()].reshape(indexes.shape)
        return symbols if self.dtype == torch.int32 else symbols.to(self.dtype)

    def _merged(self, streams):
        known = self.num_parallel_states is not None
        return streams.merged(length_bytes=self.num_bytes_code_length, known_rows=known)

    def _split(self, encoded):
        family, lanes, _ = self._operator
        return _parans.Streams.from_merged(
            encoded, family, lanes, length_bytes=self.num_bytes_code_length,
            rows=self.num_parallel_states,
        )
