"""CompressAI's coders, beside CompressAI's own where it is installed."""

import subprocess
import sys

import numpy as np
import pytest

import parans
from parans.compressai import (
    BufferedRansEncoder,
    RansDecoder,
    RansEncoder,
    decode_batch,
    encode_batch,
)

# Three ragged tables, padded as CompressAI pads them.
CDFS = [[0, 20000, 60000, 65535, 65536], [0, 65000, 65536, 0, 0], [0, 1, 2, 65536, 0]]
SIZES, OFFSETS = [5, 3, 4], [-1, 0, 5]


def work(count, seed=0):
    rng = np.random.default_rng(seed)
    indexes = rng.integers(0, 3, count)
    symbols = rng.integers(0, np.asarray(SIZES)[indexes] - 1) + np.asarray(OFFSETS)[indexes]
    far = rng.random(count) < 0.02
    symbols[far] = rng.integers(-(2**26), 2**26, far.sum())
    return symbols.tolist(), indexes.tolist()


def test_bytes_are_compressais():
    """The string that CompressAI 1.2.8 made of these symbols."""
    symbols, indexes = [0, 1, -1, 0, 5, 7, 2, -3, 100], [0, 0, 0, 1, 2, 2, 0, 0, 1]
    tables = (CDFS, SIZES, OFFSETS)
    data = RansEncoder().encode_with_indexes(symbols, indexes, *tables)
    assert data.hex() == "759aab45b9e4f400fffff0ff31eafd84"
    assert RansDecoder().decode_with_indexes(data, indexes, *tables) == symbols


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_lists_and_arrays(count):
    symbols, indexes = work(count)
    data = RansEncoder().encode_with_indexes(symbols, indexes, CDFS, SIZES, OFFSETS)
    assert RansDecoder().decode_with_indexes(data, indexes, CDFS, SIZES, OFFSETS) == symbols
    arrays = [np.array(x, np.int32) for x in (symbols, indexes, CDFS, SIZES, OFFSETS)]
    assert RansEncoder().encode_with_indexes(*arrays) == data
    found = RansDecoder().decode_with_indexes(data, *arrays[1:])
    assert isinstance(found, np.ndarray) and found.tolist() == symbols


def test_several_calls_in_one_string():
    encoder, calls = BufferedRansEncoder(), [work(50, 1), work(0, 2), work(130, 3)]
    for symbols, indexes in calls:
        encoder.encode_with_indexes(symbols, indexes, CDFS, SIZES, OFFSETS)
    data = encoder.flush()
    decoder = RansDecoder()
    with pytest.raises(ValueError, match="set_stream"):
        decoder.decode_stream([0], CDFS, SIZES, OFFSETS)
    decoder.set_stream(data)
    for symbols, indexes in calls:
        assert decoder.decode_stream(indexes, CDFS, SIZES, OFFSETS) == symbols
    together = [sum(parts, []) for parts in zip(*calls)]
    assert data == RansEncoder().encode_with_indexes(*together, CDFS, SIZES, OFFSETS)


def test_batches():
    rows = [work(300, seed) for seed in range(20)]
    symbols, indexes = (np.array(part).reshape(20, 3, 100) for part in zip(*rows))
    strings = encode_batch(symbols, indexes, CDFS, SIZES, OFFSETS)
    for string, (row, index) in zip(strings, rows):
        assert string == RansEncoder().encode_with_indexes(row, index, CDFS, SIZES, OFFSETS)
    found = decode_batch(strings, indexes, CDFS, SIZES, OFFSETS)
    np.testing.assert_array_equal(found, symbols)
    assert encode_batch(symbols[:0], indexes[:0], CDFS, SIZES, OFFSETS) == []


def test_errors():
    encode = RansEncoder().encode_with_indexes
    with pytest.raises(ValueError, match="2\\^30"):
        encode([2**30 + 10], [0], CDFS, SIZES, OFFSETS)
    with pytest.raises(ValueError, match="32 bits"):
        encode([2**40], [0], CDFS, SIZES, OFFSETS)
    with pytest.raises(TypeError):
        encode([0.5], [0], CDFS, SIZES, OFFSETS)
    with pytest.raises(ValueError):
        encode([1, 2], [0], CDFS, SIZES, OFFSETS)
    with pytest.raises(ValueError):
        encode([0], [0], [[0, 5, 3]], [3], [0])
    symbols, indexes = work(400)
    data = encode(symbols, indexes, CDFS, SIZES, OFFSETS)
    decode = RansDecoder().decode_with_indexes
    for damaged in (data[:-4], data[:-1], b"", data + b"abcd"):
        with pytest.raises(parans.Error):
            decode(damaged, indexes, CDFS, SIZES, OFFSETS)


BESIDE = """
import numpy, compressai.ans as peer, parans.compressai as ours
from compressai._CXX import pmf_to_quantized_cdf
rng = numpy.random.default_rng(1)
for trial in range(200):
    cdfs, count = [], int(rng.integers(20, 400))
    for _ in range(int(rng.integers(1, 9))):
        pmf = rng.random(int(rng.integers(1, 60))) ** 3 + 1e-6
        pmf = numpy.append(pmf / pmf.sum() * (1 - 1e-9), 1e-9)
        cdfs.append(pmf_to_quantized_cdf(pmf.tolist(), 16))
    sizes = [len(cdf) for cdf in cdfs]
    cdfs = [cdf + [0] * (max(sizes) - len(cdf)) for cdf in cdfs]
    offsets = rng.integers(-40, 10, len(cdfs)).tolist()
    indexes = rng.integers(0, len(cdfs), count)
    symbols = rng.integers(0, numpy.array(sizes)[indexes] - 1) + numpy.array(offsets)[indexes]
    far = rng.random(count) < 0.02
    symbols[far] = rng.integers(-(2**26), 2**26, far.sum())
    symbols, indexes = symbols.tolist(), indexes.tolist()
    tables = (cdfs, sizes, offsets)
    data = peer.RansEncoder().encode_with_indexes(symbols, indexes, *tables)
    assert data == ours.RansEncoder().encode_with_indexes(symbols, indexes, *tables)
    assert symbols == ours.RansDecoder().decode_with_indexes(data, indexes, *tables)
    assert symbols == peer.RansDecoder().decode_with_indexes(data, indexes, *tables)
    half, flushed = count // 2, []
    for module in (peer, ours):
        encoder = module.BufferedRansEncoder()
        encoder.encode_with_indexes(symbols[:half], indexes[:half], *tables)
        encoder.encode_with_indexes(symbols[half:], indexes[half:], *tables)
        flushed.append(encoder.flush())
    assert flushed[0] == flushed[1] == data
    decoder = ours.RansDecoder()
    decoder.set_stream(data)
    first = decoder.decode_stream(indexes[:half], *tables)
    assert first + decoder.decode_stream(indexes[half:], *tables) == symbols
"""

MODEL = """
import sys, torch
if sys.argv[1] == "parans":
    import parans.compressai
    parans.compressai.install()
from compressai.zoo import models
torch.manual_seed(0)
model = models["mbt2018-mean"](quality=1, pretrained=False).eval()
model.update(force=True)
image = torch.rand(2, 3, 64, 64)
with torch.no_grad():
    out = model.compress(image)
    back = model.decompress(**out)["x_hat"]
import hashlib
text = b"".join(string for part in out["strings"] for string in part)
print(hashlib.sha256(text).hexdigest(), len(text), float(back.sum()))
"""


def run(text, *arguments):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", text, *arguments],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_same_strings_as_compressai():
    pytest.importorskip("compressai", reason="CompressAI is not installed")
    run(BESIDE)


def test_a_model_of_the_zoo_makes_the_same_strings():
    """Random weights, in CompressAI's own compress and decompress."""
    pytest.importorskip("compressai", reason="CompressAI is not installed")
    assert run(MODEL, "parans") == run(MODEL, "own")
