"""torch_ans' table builders and its functions of byte strings, on parans."""

import torch

from parans import _parans


def host(tensor):
    """A tensor's elements as numpy's array, in the same memory where that can be."""
    return None if tensor is None else tensor.detach().cpu().contiguous().numpy()


def pmf_to_quantized_cdf(pmfs, precision=16):
    """CDF rows of probabilities of shape (..., alphabet): int32 of one value more per row."""
    shape = pmfs.shape
    if pmfs.numel() == 0:
        return torch.zeros((*shape[:-1], shape[-1] + 1), dtype=torch.int32, device=pmfs.device)
    rows = _parans.quantised_cdf(host(pmfs.reshape(-1, shape[-1])), precision)
    cdf = torch.from_numpy(rows).reshape(*shape[:-1], shape[-1] + 1)
    return cdf.to(pmfs.device)


def build_inverse_cdf(cdfs, freq_precision=16, table_precision=16):
    """CDF rows with an inverse CDF of ``2**table_precision`` entries behind each."""
    rows = _parans.inverse_cdf(host(cdfs), freq_precision, table_precision)
    table = torch.from_numpy(rows).to(device=cdfs.device, dtype=cdfs.dtype)
    return table[0] if cdfs.dim() == 1 else table


def alias_build_table(cdfs, cdfs_sizes, symbol_precision=8, freq_precision=16):
    """The two alias tensors of CDF rows: for push and for pop."""
    wrong = [int(size) for size in cdfs_sizes if int(size) - 1 != 1 << symbol_precision]
    if wrong:
        raise RuntimeError(
            "alias sampling table could not be built: it requires 2**symbol_precision == "
            f"cdfs_sizes[i] - 1, and a size is {wrong[0]} (symbol_precision={symbol_precision})"
        )
    push, pop = _parans.alias_tensors(host(cdfs), host(cdfs_sizes), freq_precision)
    return torch.from_numpy(push), torch.from_numpy(pop)


def tans_build_tables(cdfs, cdfs_sizes, table_log):
    """The tANS tensor of CDF rows, which travels in the ``cdfs`` argument."""
    if not 1 <= table_log <= 15:
        raise ValueError(f"table_log must be in [1, 15], got {table_log}")
    for row, size in enumerate(cdfs_sizes.tolist()):
        steps = cdfs[row, :size].diff()
        if bool((steps <= 0).any()):
            symbol = int((steps <= 0).nonzero()[0])
            raise ValueError(f"distribution {row}: symbol {symbol} has no probability mass")
        if int(steps.sum()) != 1 << table_log:
            raise ValueError(
                f"distribution {row} sums to {int(steps.sum())}, not 2**{table_log}"
            )
    return torch.from_numpy(_parans.tans_tensor(host(cdfs), host(cdfs_sizes), table_log))


def stream_to_byte_strings(stream):
    """The byte string of each row of a stream."""
    return _parans.torch_ans_strings(host(stream))


def byte_strings_to_stream(byte_strings):
    """A stream whose rows hold these byte strings."""
    return torch.from_numpy(_parans.torch_ans_stream(byte_strings))
