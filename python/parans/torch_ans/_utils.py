"""The functions of ``torch_ans.utils`` that make tables and byte strings."""

import struct

import torch

from parans.torch_ans import _tables

_FORMATS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


def _length_format(num_bytes):
    if num_bytes not in _FORMATS:
        raise ValueError(f"lengths of {num_bytes} bytes; there are 1, 2, 4 and 8")
    return _FORMATS[num_bytes]


def merge_bytes(data, num_bytes_length=4, num_segments=None):
    """Joins byte strings, each behind its length; with ``num_segments`` the last has none."""
    if num_segments is not None and len(data) > num_segments:
        raise AssertionError(f"Number of segments exceed predefined {num_segments}")
    form = _length_format(num_bytes_length)
    parts = []
    for at, string in enumerate(data):
        if num_segments is None or at < num_segments - 1:
            parts.append(struct.pack(form, len(string)))
        parts.append(string)
    return b"".join(parts)


def split_merged_bytes(data, num_bytes_length=4, num_segments=None):
    """The byte strings that :func:`merge_bytes` joined. Bytes that end too early raise
    ``ValueError``."""
    form = _length_format(num_bytes_length)
    strings, at = [], 0
    while at < len(data):
        if num_segments is not None and len(strings) >= num_segments - 1:
            strings.append(data[at:])
            break
        end = at + num_bytes_length
        if end > len(data):
            raise ValueError(f"the length of segment {len(strings)} is cut off")
        (length,) = struct.unpack(form, data[at:end])
        if end + length > len(data):
            raise ValueError(f"segment {len(strings)} ends before its {length} bytes")
        strings.append(data[end : end + length])
        at = end + length
    if num_segments is not None:
        strings += [b""] * (num_segments - len(strings))
    return strings


def pmf_to_quantized_cdf_batched(
    pmf, precision=16, add_tail=True, tail_mass=1e-10, normalize=True
):
    """CDF rows of probabilities of shape (rows, alphabet), with a tail's symbol behind them.

    torch_ans' rule without borrowing of slots: every symbol gets one slot more than its share, and
    rows that come out too long are scaled down until they fit.
    """
    total = 1 << precision
    assert pmf.shape[-1] * 2 < total
    if add_tail:
        tail = torch.full((pmf.shape[0], 1), 0.0).type_as(pmf) + tail_mass
        pmf = torch.cat([pmf, tail], dim=1)
    if normalize:
        pmf = pmf / pmf.sum(1, keepdim=True)
    shares = pmf * total + 1.0
    step = pmf.shape[-1] // 2
    slots = (shares * total / (shares.sum(1, keepdim=True) + step)).round()
    ends = slots.sum(dim=1, keepdim=True)
    scale = ends.clone()
    while (ends > total).any():
        scale[ends > total] += step
        slots = (slots * total / scale).round()
        ends = slots.sum(dim=1, keepdim=True)
    inner = slots.cumsum(dim=1)[:, :-1]
    first = torch.zeros(pmf.shape[0], 1).type_as(inner)
    return torch.cat([first, inner, first + total], dim=1).int()


def _check_table_precision(table_precision, freq_precision):
    chosen = freq_precision if table_precision is None else int(table_precision)
    if not 1 <= chosen <= freq_precision:
        raise ValueError(f"table_precision must be in [1, {freq_precision}], got {chosen}")
    return chosen


def inverse_quantized_cdf(quantized_cdf, freq_precision=16, table_precision=None):
    """The inverse of CDF rows: for each of ``2**table_precision`` equal parts of the slots the
    symbol at its beginning."""
    chosen = _check_table_precision(table_precision, freq_precision)
    width = quantized_cdf.shape[-1]
    table = _tables.build_inverse_cdf(quantized_cdf, freq_precision, chosen)
    return table[..., width:].contiguous()


def build_cdf_with_inverse_table(
    quantized_cdf, freq_precision=16, table_precision=None, native=None
):
    """CDF rows with their inverse behind them. ``native`` is taken for torch_ans' callers."""
    chosen = _check_table_precision(table_precision, freq_precision)
    build = _tables.build_inverse_cdf if native is None else native.rans_build_inverse_cdf
    return build(quantized_cdf, freq_precision, chosen)


def auto_inverse_cdf_precision(
    alphabet_size,
    freq_precision,
    num_distributions=1,
    itemsize=4,
    shared_budget_bytes=16 * 1024,
    min_alphabet=64,
):
    """The precision that torch_ans chooses for an inverse CDF: none for small alphabets, else one
    entry for about two symbols, and half of that where a row and its table exceed the budget."""
    alphabet_size, freq_precision = int(alphabet_size), int(freq_precision)
    if alphabet_size < min_alphabet or freq_precision < 1:
        return None
    chosen = min(freq_precision, max(1, alphabet_size.bit_length() - 1))
    most = max(1, shared_budget_bytes // max(1, num_distributions * itemsize))
    if alphabet_size + (1 << chosen) > most and chosen > 1:
        chosen -= 1
    return chosen
