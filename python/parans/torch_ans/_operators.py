"""torch_ans' 103 operators and its two functions of byte strings, on parans."""

import functools
import types

import torch

from parans import _parans
from parans.torch_ans import _tables
from parans.torch_ans._capacity import reserve
from parans.torch_ans._tables import host as _host

FAMILIES = ("rans64", "rans32", "rans32_16")
TANS = ("tans32", "tans16", "tans8")

def _check(stream, indexes, cdfs, cdfs_sizes):
    if stream.dim() != 2 or stream.dtype != torch.int32:
        raise ValueError("a stream is an int32 tensor of shape (rows, words)")
    if indexes is None or cdfs is None or cdfs_sizes is None:
        raise ValueError("indexes, cdfs and cdfs_sizes are required: symbols are coded by tables")


def _on_device(operator, stream, indexes, tables, precision, digits):
    """The coder on a stream tensor's GPU, the rows on the host, and what names the CUDA stream."""
    device = f"cuda:{stream.device.index or 0}"
    cdfs, sizes, offsets = map(_host, tables)
    coder = _parans.torch_ans_coder(operator, cdfs, sizes, offsets, precision, digits, device)
    family, lanes, _ = operator
    rows = _parans.Streams.from_tensor(_host(stream), family, lanes)
    place = {"device": stream.device, "dtype": torch.int32}
    current = torch.cuda.current_stream(stream.device)
    return coder, rows, indexes.to(**place).contiguous(), place, current


def _write_back(stream, rows):
    words = torch.from_numpy(rows.tensor())
    stream[:, : words.size(1)].copy_(words)


def _push(
    stream,
    symbols,
    indexes=None,
    cdfs=None,
    cdfs_sizes=None,
    offsets=None,
    symbol_precision=8,
    freq_precision=16,
    bypass_coding=True,
    bypass_precision=4,
    used_bytes=-1,
    *,
    operator,
):
    if symbols.size(0) != stream.size(0):
        raise ValueError("Symbols batch size mismatch!")
    _check(stream, indexes, cdfs, cdfs_sizes)
    family, lanes, _ = operator
    digits = bypass_precision if bypass_coding else None
    reserve(stream, symbols.size(1), freq_precision, digits, family, lanes, used_bytes)
    if stream.is_cuda:
        tables = (cdfs, cdfs_sizes, offsets)
        coder, coded, indexes, place, current = _on_device(
            operator, stream, indexes, tables, freq_precision, digits
        )
        coder.push(coded, symbols.to(**place).contiguous(), indexes, stream=current)
        _write_back(stream, coded)
        return
    into = stream if stream.is_contiguous() else stream.contiguous()
    _parans.torch_ans_push(
        operator, into, _host(symbols), _host(indexes), _host(cdfs), _host(cdfs_sizes),
        _host(offsets), freq_precision, digits,
    )
    if into is not stream:
        stream.copy_(into)


def _pop(
    stream,
    indexes=None,
    cdfs=None,
    cdfs_sizes=None,
    offsets=None,
    symbol_precision=8,
    freq_precision=16,
    bypass_coding=True,
    bypass_precision=4,
    inverse_cdf_precision=-1,
    *,
    operator,
):
    _check(stream, indexes, cdfs, cdfs_sizes)
    digits = bypass_precision if bypass_coding else None
    if stream.is_cuda:
        tables = (cdfs, cdfs_sizes, offsets)
        coder, coded, indexes, _, current = _on_device(
            operator, stream, indexes, tables, freq_precision, digits
        )
        symbols = torch.from_dlpack(coder.pop(coded, indexes, stream=current))
        _write_back(stream, coded)
        return symbols
    into = stream if stream.is_contiguous() else stream.contiguous()
    symbols = _parans.torch_ans_pop(
        operator, into, _host(indexes), _host(cdfs), _host(cdfs_sizes), _host(offsets),
        freq_precision, digits,
    )
    if into is not stream:
        stream.copy_(into)
    return torch.from_numpy(symbols)


def _init_stream(size, num_interleaves=1, preallocate_size=0, *, family):
    if num_interleaves not in (1, 2, 4, 8, 32):
        raise ValueError(f"num_interleaves must be 1, 2, 4, 8 or 32 (got {num_interleaves})")
    row = torch.from_numpy(_parans.torch_ans_initial(family, num_interleaves))
    if preallocate_size < 0:
        raise ValueError(f"preallocate_size must be >= 0, got {preallocate_size}")
    # rANS streams have a spare word.
    spare = preallocate_size // 4 + (family in FAMILIES)
    stream = torch.zeros((size, len(row) + spare), dtype=torch.int32)
    stream[:, : len(row)] = row
    return stream


def _operator(work, name, signature, **fixed):
    """A named operator. Its doc string begins with its arguments, where torch_ans looks for
    them."""
    operator = functools.partial(work, **fixed)
    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"{name}({signature})"
    return operator


_PUSH = (
    "stream, symbols, indexes=None, cdfs=None, cdfs_sizes=None, offsets=None, symbol_precision=8, "
    "freq_precision=16, bypass_coding=True, bypass_precision=4, used_bytes=-1"
)
_POP = (
    "stream, indexes=None, cdfs=None, cdfs_sizes=None, offsets=None, symbol_precision=8, "
    "freq_precision=16, bypass_coding=True, bypass_precision=4, inverse_cdf_precision=-1"
)


@functools.cache
def module():
    """A module of all operators, as ``torch_ans._C`` has them."""
    made = types.ModuleType("torch_ans._C", "torch_ans' operators on parans.")
    made._torch_ans_with_cuda = torch.cuda.is_available()
    for family in FAMILIES + TANS:
        _add(made, f"{family}_init_stream", _init_stream,
             "size, num_interleaves=1, preallocate_size=0", family=family)
        wide = family in TANS or family == "rans32_16"
        for lanes in (1, 2, 4, 8, 32) if wide else (1, 2, 4, 8):
            suffix = "" if lanes == 1 else f"_i{lanes}"
            _add_pair(made, f"{family}{suffix}", (family, lanes, False))
            if family in FAMILIES:
                _add(made, f"{family}{suffix}_invcdf_pop", _pop, _POP,
                     operator=(family, lanes, False))
                if lanes < 32:
                    _add_pair(made, f"{family}_alias{suffix}", (family, lanes, True))
    made.rans_pmf_to_quantized_cdf = _tables.pmf_to_quantized_cdf
    made.rans_build_inverse_cdf = _tables.build_inverse_cdf
    made.rans_alias_build_table = _tables.alias_build_table
    made.tans_build_tables = _tables.tans_build_tables
    made.rans_stream_to_byte_strings = _tables.stream_to_byte_strings
    made.rans_byte_strings_to_stream = _tables.byte_strings_to_stream
    return made


def _add(made, name, work, signature, **fixed):
    setattr(made, name, _operator(work, name, signature, **fixed))


def _add_pair(made, name, operator):
    _add(made, f"{name}_push", _push, _PUSH, operator=operator)
    _add(made, f"{name}_pop", _pop, _POP, operator=operator)
