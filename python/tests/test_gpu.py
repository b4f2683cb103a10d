"""Arrays in the memory of a GPU, on the caller's stream, through the driver's own interface.

The driver is any libcuda: that of a GPU, or the software driver of the repository:
``scripts/software-cuda pytest python/tests/test_gpu.py``.
"""

import ctypes

import numpy as np
import pytest

import parans

try:
    CUDA = ctypes.CDLL("libcuda.so.1")
    READY = CUDA.cuInit(0) == 0
except OSError:
    READY = False
needs_driver = pytest.mark.skipif(not READY, reason="there is no CUDA driver")


def call(name, *arguments):
    code = getattr(CUDA, name)(*arguments)
    assert code == 0, f"{name}: {code}"


class DLDevice(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("id", ctypes.c_int)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", DLDevice),
        ("ndim", ctypes.c_int),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class DLManagedTensor(ctypes.Structure):
    _fields_ = [
        ("tensor", DLTensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


NEW = ctypes.pythonapi.PyCapsule_New
NEW.restype, NEW.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
POINTER = ctypes.pythonapi.PyCapsule_GetPointer
POINTER.restype, POINTER.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


@pytest.fixture
def context():
    made = ctypes.c_void_p()
    call("cuDevicePrimaryCtxRetain", ctypes.byref(made), 0)
    call("cuCtxPushCurrent_v2", made)
    yield made
    call("cuCtxPopCurrent_v2", ctypes.byref(made))
    call("cuDevicePrimaryCtxRelease_v2", 0)


class DeviceArray:
    """An array on the GPU that speaks DLPack, filled by a copy on a stream of its own."""

    def __init__(self, array, stream):
        self.array, self.asked = np.ascontiguousarray(array), []
        self.address = ctypes.c_uint64()
        call("cuMemAlloc_v2", ctypes.byref(self.address), ctypes.c_size_t(max(1, array.nbytes)))
        source = self.array.ctypes.data_as(ctypes.c_void_p)
        call("cuMemcpyHtoDAsync_v2", self.address, source, ctypes.c_size_t(array.nbytes), stream)
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = [stride // array.itemsize for stride in self.array.strides]
        strides = (ctypes.c_int64 * array.ndim)(*strides)
        code = {"i": 0, "u": 1}[array.dtype.kind]
        tensor = DLTensor(self.address.value, DLDevice(2, 0), array.ndim, code,
                          8 * array.itemsize, 1, shape, strides, 0)
        self.managed, self.kept = DLManagedTensor(tensor, None, None), (shape, strides)

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, *, stream=None, **_):
        self.asked.append(stream)
        return NEW(ctypes.addressof(self.managed), b"dltensor", None)


def fetched(tensor, shape, dtype):
    """The elements of a tensor on the GPU."""
    assert tensor.__dlpack_device__() == (2, 0)
    capsule = tensor.__dlpack__(stream=1)
    view = ctypes.cast(POINTER(capsule, b"dltensor"), ctypes.POINTER(DLTensor)).contents
    assert [view.shape[at] for at in range(view.ndim)] == list(shape)
    out = np.empty(shape, dtype)
    into = out.ctypes.data_as(ctypes.c_void_p)
    call("cuMemcpyDtoH_v2", into, ctypes.c_uint64(view.data), ctypes.c_size_t(out.nbytes))
    return out


def work():
    rng = np.random.default_rng(0)
    pmf = rng.random((8, 64)) + 0.01
    symbols = rng.integers(0, 64, (6, 500)).astype(np.int32)
    return parans.Tables.from_pmf(pmf, 12), symbols, rng.integers(0, 8, (6, 500)).astype(np.int32)


@needs_driver
@pytest.mark.parametrize("handle", [None, 1, 2, "own"])
@pytest.mark.parametrize("family,lanes", [("rans64", 1), ("rans32_16", 32), ("tans32", 4)])
def test_arrays_on_the_gpu(context, handle, family, lanes):
    stream = ctypes.c_void_p()
    if handle == "own":
        call("cuStreamCreate", ctypes.byref(stream), 1)
        handle = stream.value
    elif handle is not None:
        stream = ctypes.c_void_p(handle)
    tables, symbols, indexes = work()
    expected = parans.Coder(tables, family, lanes=lanes).encode(symbols, indexes)
    coder = parans.Coder(tables, family, lanes=lanes, device="cuda:0")
    on_device = DeviceArray(symbols, stream), DeviceArray(indexes, stream)
    assert coder.encode(*on_device, stream=handle) == expected
    # The producer is told on which stream the work will run.
    assert on_device[0].asked == [1 if handle is None else handle]
    found = coder.decode(expected, on_device[1], stream=handle)
    assert found.device_name == "cuda:0" and found.dtype == "int32"
    np.testing.assert_array_equal(fetched(found, symbols.shape, np.int32), symbols)
    # Host arrays and arrays of one index go by way of the device as well.
    assert coder.encode(symbols, indexes) == expected
    np.testing.assert_array_equal(coder.decode(expected, indexes), symbols)
    streams = coder.streams(6)
    coder.push(streams, on_device[0], indexes, stream=handle)
    assert streams.merged() == expected


@needs_driver
def test_narrow_symbols_and_indexes(context):
    tables, symbols, indexes = work()
    coder = parans.Coder(tables, "rans32_16", lanes=8, device="cuda:0")
    expected = coder.encode(symbols, indexes)
    narrow = [DeviceArray(array.astype(np.uint8), None) for array in (symbols, indexes)]
    assert coder.encode(*narrow) == expected
    found = coder.decode(expected, narrow[1], dtype="uint8")
    np.testing.assert_array_equal(fetched(found, symbols.shape, np.uint8), symbols)


@needs_driver
def test_errors(context):
    tables, symbols, indexes = work()
    coder = parans.Coder(tables, device="cuda:0")
    on_device = DeviceArray(symbols, None), DeviceArray(indexes, None)
    with pytest.raises(ValueError, match='device="cuda:N"'):
        parans.Coder(tables).encode(*on_device)
    far = symbols.copy()
    far[2, 3] = 999
    with pytest.raises(ValueError, match="row 2, symbol 3: symbol 999"):
        coder.encode(DeviceArray(far, None), on_device[1])
    with pytest.raises(ValueError, match="symbols of I64 on a GPU"):
        coder.encode(DeviceArray(symbols.astype(np.int64), None), on_device[1])
    with pytest.raises(ValueError, match="GPU"):
        parans.compress(on_device[0])
    data = coder.encode(*on_device)
    with pytest.raises(parans.Error):
        coder.decode(data[:-4], on_device[1])


@pytest.mark.skipif(READY, reason="there is a CUDA driver")
def test_without_a_driver_only_its_use_is_an_error():
    with pytest.raises(parans.Error, match="cuda|driver|libcuda"):
        parans.Coder(work()[0], device="cuda:0")
