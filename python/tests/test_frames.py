"""compress and decompress: bytes and tensors of every type come back."""

import io
import itertools

import numpy as np
import pytest

import parans

NUMPY_TYPES = [
    "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32",
    "int64", "uint64", "bool",
]


def values(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.3
    if dtype.startswith("float"):
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0, 2), (31, 57, 3)])
def test_arrays_keep_type_and_shape(dtype, shape):
    array = np.asarray(values(dtype, shape))
    back = parans.decompress(parans.compress(array))
    assert isinstance(back, np.ndarray)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_floats_become_smaller_and_bits_stay():
    bits = np.random.default_rng(1).integers(0, 2**32, 50_000, dtype=np.uint32)
    array = bits.view(np.float32)  # NaN payloads and denormals among them
    assert parans.decompress(parans.compress(array)).tobytes() == array.tobytes()
    weights = values("float32", (100_000,))
    assert len(parans.compress(weights)) < 0.93 * weights.nbytes


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_strides_and_byte_order(order):
    array = values("float64", (6, 7, 8)).transpose(order)[::2, ::-1]
    np.testing.assert_array_equal(parans.decompress(parans.compress(array)), array)
    swapped = array.astype(">f8")
    np.testing.assert_array_equal(parans.decompress(parans.compress(swapped)), array)


@pytest.mark.parametrize("data", [b"", b"x", b"hello " * 10_000, bytes(range(256)) * 300])
def test_bytes_come_back(data):
    for kind in (bytes, bytearray, memoryview):
        back = parans.decompress(parans.compress(kind(data)))
        assert isinstance(back, bytes) and back == data


def test_memoryviews_of_numbers_are_their_bytes():
    array = values("int32", (100,))
    assert parans.decompress(parans.compress(memoryview(array))) == array.tobytes()
    with pytest.raises((ValueError, BufferError)):
        parans.compress(memoryview(bytes(100))[::2])


def test_bfloat16_and_float8_through_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="numpy has no bfloat16 without ml_dtypes")
    for dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
        array = values("float32", (40, 25)).astype(dtype)
        back = parans.decompress(parans.compress(array))
        assert isinstance(back, parans.Tensor)
        assert (back.dtype, back.shape) == (array.dtype.name, array.shape)
        assert np.asarray(back).dtype == array.dtype
        assert back.tobytes() == array.tobytes()
    # The same name with another meaning than PyTorch's.
    with pytest.raises(ValueError, match="float8_e4m3fn"):
        parans.compress(array.astype(ml_dtypes.float8_e4m3))


def test_dlpack_out_and_in():
    tensor = parans._parans.Archive(parans.compress(values("float32", (5, 4)))).tensor("")
    assert isinstance(tensor, parans.Tensor)
    array = np.from_dlpack(tensor)
    np.testing.assert_array_equal(array, tensor.numpy())
    assert parans.compress(tensor) == parans.compress(array)
    assert tensor.__dlpack_device__() == (1, 0)


def test_what_has_no_type_here_is_an_error():
    for array in (np.zeros(3, complex), np.zeros(3, "M8[s]"), np.array(["a"]), np.array([None])):
        with pytest.raises((ValueError, parans.Error)):
            parans.compress(array)
    with pytest.raises(TypeError):
        parans.compress(3)


def test_damage_is_an_error():
    frame = parans.compress(values("float32", (2000,)))
    for at in range(0, len(frame), 97):
        damaged = bytearray(frame)
        damaged[at] ^= 0x10
        with pytest.raises(parans.Error):
            parans.decompress(damaged)
    for end in range(0, len(frame), 301):
        with pytest.raises(parans.Error):
            parans.decompress(frame[:end])


def test_max_size_bounds_what_comes_out():
    frame = parans.compress(bytes(10_000_000))
    assert len(frame) < 10_000
    with pytest.raises(parans.Error, match="more content"):
        parans.decompress(frame, max_size=1_000_000)
    assert len(parans.decompress(frame, max_size=10_000_000)) == 10_000_000


def test_numpy_files_in_bytes_are_recognised():
    file = io.BytesIO()
    array = values("float32", (300, 300))
    np.save(file, array)
    frame = parans.compress(file.getvalue())
    assert len(frame) < 0.93 * array.nbytes
    assert parans.decompress(frame) == file.getvalue()


def test_chunk_size_is_checked():
    assert parans.decompress(parans.compress(b"abc" * 1000, chunk_size=64)) == b"abc" * 1000
    with pytest.raises(ValueError):
        parans.compress(b"abc", chunk_size=1 << 30)
