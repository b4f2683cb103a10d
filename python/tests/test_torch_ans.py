"""torch_ans' interface on parans, beside torch_ans itself where that is installed.

``scripts/torch-ans-tests`` runs torch_ans' own tests on parans.
"""

import itertools
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import parans  # noqa: E402
from parans.torch_ans import TorchANSInterface, merge_bytes, module, split_merged_bytes  # noqa: E402

RANS = ["rans64", "rans32", "rans32_16"]
IMPLS = RANS + ["tans32", "tans16", "tans8"]


def setup(impl, **options):
    torch.manual_seed(0)
    coder = TorchANSInterface(impl, freq_precision=options.pop("freq_precision", 12), **options)
    freqs = torch.randint(1, 100, (5, 15), dtype=torch.int32)
    coder.init_params(freqs, torch.full((5,), 15), torch.tensor([0, -3, 7, 0, 1]))
    indexes = torch.randint(0, 5, (6, 40))
    symbols = torch.randint(0, 15, (6, 40)) + torch.tensor([0, -3, 7, 0, 1])[indexes]
    return coder, symbols, indexes


def test_every_operator_is_there():
    operators = [name for name in vars(module()) if not name.startswith("_")]
    assert len(operators) == 105
    assert all("used_bytes" in getattr(module(), n).__doc__ for n in operators if "_push" in n)


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("states", [None, 1, 7])
def test_bytes_and_tensors(impl, lanes, states):
    coder, symbols, indexes = setup(impl, num_interleaves=lanes, num_parallel_states=states)
    data = coder.encode_with_indexes(symbols, indexes)
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols.int())
    stream = coder.encode(symbols, dist_indexes=indexes)
    assert stream.dtype == torch.int32
    assert torch.equal(coder.decode(stream, dist_indexes=indexes), symbols.int())
    coder.set_stream(data)
    assert torch.equal(coder.decode_stream(indexes), symbols.int())


@pytest.mark.parametrize("impl", RANS)
def test_queued_calls_come_back_in_their_order(impl):
    coder, symbols, indexes = setup(impl, num_parallel_states=3)
    freqs = torch.randint(1, 50, (4, 9, 6))
    few, smallest = torch.randint(0, 6, (4, 9)), torch.zeros(4, 9, dtype=torch.int32)
    count = torch.full((4, 9), 6)
    for part in (slice(0, 2), slice(2, 6)):
        assert coder.encode_with_indexes(symbols[part], indexes[part], cache=True) is None
    data = coder.flush()
    assert coder.flush() == b""
    coder.set_stream(data)
    assert torch.equal(coder.decode_stream(indexes[:2]), symbols[:2].int())
    assert torch.equal(coder.decode_stream(indexes[2:]), symbols[2:].int())
    data = coder.encode_with_freqs(few, freqs, count, smallest)
    assert torch.equal(coder.decode_with_freqs(data, freqs, count, smallest), few.int())


def test_symbols_far_outside_and_skipped_indexes():
    coder, symbols, indexes = setup("rans64", check_validity=False)
    symbols[0, 3], symbols[4, 5] = 2**29, -(2**26)
    indexes[1, ::4], indexes[2, 7] = -1, 99
    data = coder.encode_with_indexes(symbols, indexes)
    kept = (indexes >= 0) & (indexes < 5)
    assert torch.equal(coder.decode_with_indexes(data, indexes)[kept], symbols.int()[kept])
    strict, _, _ = setup("rans64", check_validity=True)
    with pytest.raises(ValueError):
        strict.encode_with_indexes(symbols, indexes)


def test_what_torch_ans_gets_wrong():
    """A probability of a half at 16 bits, damaged bytes, lengths of eight bytes, alias bytes."""
    coder = TorchANSInterface("rans64", num_bytes_code_length=8)
    coder.init_params(torch.tensor([[0.6, 0.3, 0.1]]), torch.tensor([3]), torch.tensor([0]))
    symbols = torch.randint(0, 3, (4, 100))
    data = coder.encode_with_indexes(symbols, torch.zeros_like(symbols))
    assert torch.equal(coder.decode_with_indexes(data, torch.zeros_like(symbols)), symbols.int())
    for damaged in (data[:-4], data[:20] + bytes([data[20] ^ 4]) + data[21:]):
        with pytest.raises((parans.Error, ValueError)):
            coder.decode_with_indexes(damaged, torch.zeros_like(symbols))
    alias = TorchANSInterface("rans32", freq_precision=12, alias_sampling=True)
    alias.init_params(torch.ones(1, 15), torch.tensor([15]), torch.tensor([0]))
    symbols = torch.randint(0, 15, (2, 256))
    data = alias.encode_with_indexes(symbols, torch.zeros_like(symbols))
    assert torch.equal(alias.decode_with_indexes(data, torch.zeros_like(symbols)), symbols.int())


def test_arguments_are_checked_as_torch_ans_does():
    for options in ({"impl": "none"}, {"num_interleaves": 3},
                    {"impl": "tans32", "alias_sampling": True},
                    {"impl": "tans32", "inverse_cdf_precision": 4}):
        with pytest.raises(NotImplementedError):
            TorchANSInterface(**options)
    with pytest.raises(ValueError):
        TorchANSInterface("rans32_16", freq_precision=12, inverse_cdf_precision=13)
    push = module().rans64_push
    stream = module().rans64_init_stream(2)
    cdfs = torch.tensor([[0, 4, 10, 16]], dtype=torch.int32)
    rest = (cdfs, torch.tensor([4], dtype=torch.int32))
    many = torch.zeros(2, 500, dtype=torch.int32)
    with pytest.raises(ValueError, match="caller owns the stream capacity"):
        push(stream, many, many, *rest, freq_precision=4, used_bytes=8)
    with pytest.raises(ValueError, match="batch size"):
        push(stream, many[:1], many[:1], *rest, freq_precision=4)


def test_merged_bytes():
    parts = [b"hello", b"", b"!" * 300]
    for width, count in itertools.product((2, 4, 8), (None, 3)):
        merged = merge_bytes(parts, width, count)
        assert split_merged_bytes(merged, width, count) == parts
    with pytest.raises(ValueError):
        split_merged_bytes(merge_bytes(parts)[:-1])


BESIDE = """
import torch, torch_ans.utils as theirs
from parans.torch_ans import TorchANSInterface, module
torch.manual_seed(1)
lanes_of = {"rans64": (1, 2, 4, 8), "rans32": (1, 4), "rans32_16": (1, 8, 32), "tans32": (1, 2),
            "tans16": (4,), "tans8": (1, 32)}
compared = 0
for impl, lanes in lanes_of.items():
    for count, bypass, invcdf, states in [(l, b, i, s) for l in lanes for b in (False, True)
                                          for i in (None, "auto") for s in (None, 5)]:
        if impl.startswith("tans") and invcdf:
            continue
        options = dict(impl=impl, num_interleaves=count, bypass_coding=bypass,
                       num_parallel_states=states, inverse_cdf_precision=invcdf,
                       freq_precision=7 if impl == "tans8" else 13)
        # Ragged alphabets, padded with nothing; tables of tANS have no slots left over.
        freqs = torch.randint(1, 60, (6, 80 if impl != "tans8" else 20)).float()
        sizes = torch.full((6,), freqs.shape[1])
        if not impl.startswith("tans"):
            sizes = torch.randint(66, freqs.shape[1], (6,))
            freqs[torch.arange(freqs.shape[1]) >= sizes[:, None]] = 0
        smallest = torch.randint(-9, 9, (6,))
        indexes = torch.randint(-1, 6, (4, 333))
        at = indexes.clamp(min=0)
        symbols = (torch.rand(4, 333) * sizes[at]).long() + smallest[at]
        if bypass:
            symbols[:, ::17] = torch.randint(-2**20, 2**20, symbols[:, ::17].shape)
        ours, peer = TorchANSInterface(**options), theirs.TorchANSInterface(**options)
        for coder in (ours, peer):
            coder.init_params(freqs, sizes.int(), smallest.int())
        assert torch.equal(ours.cdfs, peer.cdfs) and torch.equal(ours.cdfs_sizes, peer.cdfs_sizes)
        data = ours.encode_with_indexes(symbols, indexes)
        assert data == peer.encode_with_indexes(symbols, indexes), options
        # The peer ends abnormally on ragged alphabets with an inverse CDF.
        mine = ours.decode_with_indexes(data, indexes)
        kept = indexes >= 0
        assert torch.equal(mine[kept], symbols.int()[kept])
        if not invcdf:
            assert torch.equal(mine, peer.decode_with_indexes(data, indexes))
        compared += 1
import torch_ans._C as native
cdfs = torch.tensor([[0, 4, 10, 15, 16], [0, 1, 2, 3, 16]], dtype=torch.int32)
five = torch.tensor([5, 5], dtype=torch.int32)
for a, b in zip(module().rans_alias_build_table(cdfs, five, 2, 4),
                native.rans_alias_build_table(cdfs, five, 2, 4)):
    assert torch.equal(a, b)
for operators in (module(), native):
    made = operators.tans_build_tables(cdfs, five, 4)
    assert torch.equal(made, module().tans_build_tables(cdfs, five, 4))
print("compared", compared)
"""


def test_the_same_bytes_as_torch_ans():
    pytest.importorskip("torch_ans", reason="torch_ans is not installed")
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 60


def test_install_puts_parans_in_torch_ans_place():
    pytest.importorskip("torch_ans", reason="torch_ans is not installed")
    text = (
        "import parans.torch_ans as p; m = p.install(); import torch_ans.utils as u; "
        "assert u._native_C is m; c = u.TorchANSInterface('rans64'); "
        "assert c.ans_encode_func is m.rans64_push; assert p.install() is m"
    )
    subprocess.run([sys.executable, "-c", text], check=True)
    late = "import torch_ans.utils, parans.torch_ans as p; p.install()"
    done = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True)
    assert "call install() before" in done.stderr
