"""The codec of numcodecs, by numcodecs' own checks."""

import numpy
import pytest

numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is not installed")
checks = pytest.importorskip(
    "numcodecs.tests.common", reason="this numcodecs does not ship its test helpers"
)

import parans  # noqa: E402
from parans.numcodecs import Parans, element  # noqa: E402

CODECS = [Parans(), Parans(chunk_size=1000)]
generator = numpy.random.default_rng(0)
ARRAYS = [
    numpy.arange(1000, dtype="<i4"),
    numpy.arange(1000, dtype=">i4"),
    numpy.linspace(1000, 1001, 1000).reshape(100, 10, order="F"),
    numpy.linspace(1000, 1001, 1000, dtype=">f8").reshape(10, 100),
    generator.normal(size=(50, 30)).astype("f4"),
    generator.normal(size=777).astype("f2"),
    generator.normal(size=100) + 1j * generator.normal(size=100),
    generator.integers(0, 2, 1000).astype(bool),
    generator.integers(0, 200, 1000, dtype="u1").reshape(10, 10, 10, order="F"),
    generator.integers(0, 2**60, 1000, dtype="u8").view("M8[ns]"),
    generator.integers(0, 2**60, 1000, dtype="u8").view("m8[D]"),
    numpy.array(["foo", "bar", "naïve"] * 100, dtype="U7"),
    numpy.array([b"foo", b"bar"] * 100),
    numpy.zeros(20, dtype=[("a", "<f4"), ("b", ">i2"), ("c", "S3")]),
    numpy.array(2.5),
    generator.normal(size=100).astype(numpy.longdouble),
]


def kind(array):
    return f"{array.dtype.str}{array.shape}"


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@pytest.mark.parametrize("array", ARRAYS, ids=kind)
def test_encode_decode(array, codec):
    checks.check_encode_decode(array, codec)


def test_empty():
    empty = numpy.empty((0, 3), "f4")
    assert bytes(Parans().decode(Parans().encode(empty))) == b""


def test_config_and_registry():
    for codec in CODECS:
        checks.check_config(codec)
    assert repr(Parans(chunk_size=99)) == "Parans(chunk_size=99)"
    assert numcodecs.get_codec({"id": "parans"}) == Parans()
    assert Parans() != Parans(chunk_size=99)


def test_entry_point():
    from importlib.metadata import entry_points

    [found] = entry_points(group="numcodecs.codecs", name="parans")
    assert found.load() is Parans


def test_object_arrays_are_refused():
    checks.check_err_encode_object_buffer(Parans())
    checks.check_err_decode_object_buffer(Parans())


def test_max_buffer_size():
    checks.check_max_buffer_size(Parans())


def test_the_element_type_is_used():
    values = generator.normal(size=1 << 16).astype("f4")
    parts = (values, values.astype(">f4"), values.tobytes())
    typed, big_endian, plain = (len(Parans().encode(part)) for part in parts)
    assert typed < len(parans.compress(values)) + 100
    assert typed <= big_endian < plain * 0.95


def test_element_types():
    names = ["f2", ">f4", "f8", "i1", "u2", "i4", "u8", "?", "c8", "c16", "M8[s]", "m8[ns]"]
    assert [element(name) for name in names] == [
        "float16",
        "float32",
        "float64",
        "int8",
        "uint16",
        "int32",
        "uint64",
        "bool",
        "float32",
        "float64",
        "int64",
        "int64",
    ]
    assert [element(name) for name in ("S4", "U4", "V8", "f4,i2", numpy.longdouble)] == [None] * 5


def test_types_of_ml_dtypes():
    types = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    values = generator.normal(size=1 << 16).astype("f4")
    for dtype in (types.bfloat16, types.float8_e4m3fn, types.float8_e5m2, types.int4):
        array = values.astype(dtype)
        frame = Parans().encode(array)
        assert bytes(Parans().decode(frame)) == array.tobytes()
        assert len(frame) < 0.85 * array.nbytes


@pytest.mark.parametrize("size", [399, 401, 0])
def test_out_of_another_size_is_refused(size):
    frame = Parans().encode(numpy.arange(100, dtype="f4"))
    # More than what fits is not even decoded.
    with pytest.raises(parans.Error if size < 400 else ValueError):
        Parans().decode(frame, out=bytearray(size))


def test_damage_raises_the_error():
    frame = bytearray(Parans().encode(generator.normal(size=1000)))
    for at in range(0, len(frame), 97):
        broken = frame[:]
        broken[at] ^= 4
        with pytest.raises(parans.Error):
            Parans().decode(broken)
        with pytest.raises(parans.Error):
            Parans().decode(frame[:at])
