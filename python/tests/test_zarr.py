"""The codec of zarr 3 in arrays of every kind."""

import json

import numpy
import pytest

zarr = pytest.importorskip("zarr", minversion="3.1", reason="zarr 3.1 or newer is not installed")

from zarr import codecs, storage  # noqa: E402
from zarr.registry import get_codec_class  # noqa: E402

import parans  # noqa: E402
from parans.zarr import ParansCodec  # noqa: E402

generator = numpy.random.default_rng(0)
ARRAYS = {
    "f4": generator.normal(size=(33, 47)).astype("<f4"),
    "f8": generator.normal(size=(33, 47)),
    "f2": generator.normal(size=(33, 47)).astype("f2"),
    "big-endian f4": generator.normal(size=(33, 47)).astype(">f4"),
    "i2": generator.integers(-99, 99, (33, 47), dtype="i2"),
    "u8": generator.integers(0, 2**64, (33, 47), dtype="u8"),
    "bool": generator.integers(0, 2, (33, 47)).astype(bool),
    "c8": (generator.normal(size=(33, 47)) * (1 + 2j)).astype("c8"),
    "dates": generator.integers(0, 2**50, (33, 47)).astype("M8[ns]"),
    "text": generator.integers(0, 2**50, (33, 47)).astype("U20"),
    "bytes": generator.integers(0, 2**50, (33, 47)).astype("S20"),
    "structure": generator.normal(size=(33, 94)).view([("a", "<f8"), ("b", "<f8")]),
}


def make(array, store=None, **options):
    options.setdefault("chunks", (10, 16))
    options.setdefault("compressors", ParansCodec())
    made = zarr.create_array(
        {} if store is None else store, shape=array.shape, dtype=array.dtype, **options
    )
    made[...] = array
    return made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_round_trip(array):
    store = {}
    made = make(array, store)
    found = zarr.open_array(store, mode="r")
    assert found.compressors == made.compressors == (ParansCodec(),)
    # Version 3 of the format has no types of the other byte order.
    assert found.dtype == array.dtype.newbyteorder("=")
    assert numpy.array_equal(found[...], array)
    assert numpy.array_equal(found[5:21, 15:40:3], array[5:21, 15:40:3])
    # A part of a chunk is read, changed and written.
    with_change = array.copy()
    with_change[3:12, 7] = array[0, 0]
    made[3:12, 7] = array[0, 0]
    assert numpy.array_equal(zarr.open_array(store, mode="r")[...], with_change)


@pytest.mark.parametrize(
    "options",
    [
        {"serializer": codecs.BytesCodec(endian="big")},
        {"filters": [codecs.TransposeCodec(order=(1, 0))]},
        {"shards": (20, 32)},
        {"compressors": [ParansCodec(), codecs.Crc32cCodec()]},
        {"compressors": [codecs.Crc32cCodec(), ParansCodec(chunk_size=99)]},
        {"compressors": [codecs.GzipCodec(), ParansCodec()]},
        {"chunks": (1, 1)},
        {"chunks": (40, 64)},
        {"fill_value": 3.5},
    ],
    ids=str,
)
def test_with_other_codecs(options):
    store = {}
    array = ARRAYS["f4"].copy()
    array[:10, :16] = 3.5
    make(array, store, **options)
    assert numpy.array_equal(zarr.open_array(store, mode="r")[...], array)


@pytest.mark.filterwarnings("ignore")
def test_shards_as_one_string_of_bytes():
    """The codec behind shards, whose bytes are elements and an index."""
    store = {}
    inner = codecs.ShardingCodec(chunk_shape=(5, 8), codecs=[codecs.BytesCodec()])
    make(ARRAYS["f4"], store, serializer=inner)
    assert numpy.array_equal(zarr.open_array(store, mode="r")[...], ARRAYS["f4"])


@pytest.mark.filterwarnings("ignore")
def test_text_of_any_length():
    store = {}
    made = zarr.create_array(store, shape=(50,), dtype=str, chunks=(7,), compressors=ParansCodec())
    text = numpy.array([f"{'ä' * n}{n}" for n in range(50)], dtype=object)
    made[:] = text
    assert (zarr.open_array(store, mode="r")[:] == text).all()


def test_files(tmp_path):
    path = tmp_path / "array.zarr"
    make(ARRAYS["f4"], storage.LocalStore(path))
    metadata = json.loads((path / "zarr.json").read_text())
    assert metadata["codecs"][-1] == {"name": "parans", "configuration": {}}
    chunk = (path / "c" / "0" / "0").read_bytes()
    assert parans.decompress(chunk) == ARRAYS["f4"][:10, :16].tobytes()


@pytest.mark.parametrize("codec", [ParansCodec(), ParansCodec(chunk_size=4096)], ids=str)
def test_metadata(codec):
    data = json.loads(json.dumps(codec.to_dict()))
    assert ParansCodec.from_dict(data) == codec
    assert get_codec_class("parans") is ParansCodec
    assert ParansCodec.from_dict({"name": "parans"}) == ParansCodec()
    with pytest.raises(ValueError, match="gzip"):
        ParansCodec.from_dict({"name": "gzip"})
    with pytest.raises(TypeError):
        ParansCodec.from_dict({"name": "parans", "configuration": {"level": 3}})


def test_entry_point():
    from importlib.metadata import entry_points

    [found] = entry_points(group="zarr.codecs", name="parans")
    assert found.load() is ParansCodec


def test_the_element_type_is_used():
    array = generator.normal(size=(256, 256)).astype("f4")
    made = make(array, chunks=array.shape)
    assert made.nbytes_stored() < len(parans.compress(array)) + 2000
    assert made.nbytes_stored() < 0.95 * len(parans.compress(array.tobytes()))


def test_version_2_of_the_format():
    pytest.importorskip("numcodecs", reason="numcodecs is not installed")
    from parans.numcodecs import Parans

    for name in ("f4", "big-endian f4", "dates"):
        store = {}
        make(ARRAYS[name], store, zarr_format=2, compressors=Parans())
        found = zarr.open_array(store, mode="r", zarr_format=2)
        assert numpy.array_equal(found[...], ARRAYS[name])


def test_damage_raises_the_error(tmp_path):
    path = tmp_path / "array.zarr"
    made = make(ARRAYS["f4"], storage.LocalStore(path))
    chunk = path / "c" / "1" / "1"
    data = bytearray(chunk.read_bytes())
    for at in range(0, len(data), 97):
        broken = data[:]
        broken[at] ^= 4
        chunk.write_bytes(broken)
        with pytest.raises(parans.Error):
            made[...]
        chunk.write_bytes(data[:at])
        with pytest.raises(parans.Error):
            made[...]
