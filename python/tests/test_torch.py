"""PyTorch's tensors in and out. Skipped where PyTorch is not installed."""

import numpy as np
import pytest

import parans

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import parans.torch  # noqa: E402

TYPES = [
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool,
]


def tensor_of(dtype, shape=(37, 11)):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator) * 20
    return (values > 0) if dtype == torch.bool else values.to(dtype)


def same(a, b):
    return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(
        a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)
    )


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_tensors_of_every_type(dtype, tmp_path):
    tensor = tensor_of(dtype)
    found = parans.torch.decompress(parans.compress(tensor))
    assert same(found, tensor)
    assert same(parans.torch.decompress(parans.compress(tensor.t())), tensor.t().contiguous())
    path = tmp_path / "x.parans"
    parans.torch.save_file({"x": tensor}, path)
    assert same(parans.torch.load_file(path)["x"], tensor)
    # Shared with numpy where numpy has the type.
    assert parans.compress(tensor) == parans.compress(torch.from_dlpack(found))


def test_what_is_no_tensor_here_is_told():
    with pytest.raises((BufferError, RuntimeError, ValueError)):
        parans.compress(torch.ones(3, dtype=torch.complex64).conj())
    with pytest.raises(ValueError, match="bytes"):
        parans.torch.decompress(parans.compress(b"hello"))


def test_coders_give_tensors_for_tensors():
    rng = np.random.default_rng(0)
    tables = parans.Tables.from_pmf(torch.rand(4, 30) + 0.01, 12)
    symbols = torch.from_numpy(rng.integers(0, 30, (5, 60)))
    indexes = torch.from_numpy(rng.integers(0, 4, (5, 60)))
    coder = parans.Coder(tables, "rans32_16", lanes=4)
    data = coder.encode(symbols, indexes)
    assert data == coder.encode(symbols.numpy(), indexes.int())
    found = coder.decode(data, indexes, dtype=torch.int64)
    assert isinstance(found, torch.Tensor) and torch.equal(found, symbols)
    streams = coder.streams(5)
    coder.push(streams, symbols, indexes)
    assert torch.equal(coder.pop(streams, indexes), symbols.int())


def test_a_checkpoint_against_a_base(tmp_path):
    old = {"w": torch.arange(300_000).to(torch.bfloat16)}
    new = {"w": old["w"] + 1}
    parans.torch.save_file(old, tmp_path / "old")
    parans.torch.save_file(new, tmp_path / "new", base=tmp_path / "old")
    assert torch.equal(parans.torch.load_file(tmp_path / "new")["w"], new["w"])
    (tmp_path / "old").rename(tmp_path / "moved")
    loaded = parans.torch.load_file(tmp_path / "new", base=tmp_path / "moved")
    assert torch.equal(loaded["w"], new["w"])
