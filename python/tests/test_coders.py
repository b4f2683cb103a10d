"""Tables, coders, streams and models in numpy's idiom."""

import threading

import numpy as np
import pytest

import parans

FAMILIES = ["rans64", "rans32", "rans32_16", "tans32", "tans16", "tans8"]


def tables(count=4, alphabet=20, precision=7, **options):
    pmf = np.random.default_rng(0).random((count, alphabet)) + 0.01
    return parans.Tables.from_pmf(pmf, precision, **options)


def work(rows=5, columns=77, alphabet=20, count=4):
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, alphabet, (rows, columns)).astype(np.int32)
    return symbols, rng.integers(0, count, (rows, columns)).astype(np.int32)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 32])
def test_round_trips(family, lanes):
    symbols, indexes = work()
    coder = parans.Coder(tables(), family, lanes=lanes)
    assert (coder.family, coder.lanes) == (family, lanes)
    data = coder.encode(symbols, indexes)
    found = coder.decode(data, indexes)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, symbols)


def test_a_stream_of_the_format():
    """The bytes of the format's document: 9 symbols, bypass digits of 2 bits."""
    cdf = np.array([[0, 4, 10, 15, 16]], np.int32)
    symbols = np.array([[0, 1, 2, 1, 0, 7, -3, 2, 1]])
    for family, lanes, expected in [
        ("rans64", 1, "927e69f183221761"),
        ("rans64", 2, "a3e211111111010015f32dd8822d0000"),
        ("rans32_16", 2, "101101006748832dab78"),
        ("tans16", 1, "1a00000005000000070000002a459c"),
    ]:
        coder = parans.Coder(parans.Tables.from_cdf(cdf, 4), family, lanes=lanes, bypass=2)
        streams = coder.streams(1)
        coder.push(streams, symbols)
        assert streams.byte_strings() == [bytes.fromhex(expected)]
        np.testing.assert_array_equal(coder.pop(streams, shape=symbols.shape), symbols)
        streams.expect_initial()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_symbols_and_indexes_of_any_integer_type(dtype):
    symbols, indexes = work()
    coder = parans.Coder(tables())
    expected = coder.encode(symbols, indexes)
    assert coder.encode(symbols.astype(dtype), indexes.astype(dtype)) == expected
    found = coder.decode(expected, indexes.astype(dtype), dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, symbols)
    assert coder.decode(expected, indexes, dtype=np.dtype(dtype)).dtype == dtype


def test_indexes_for_rows_columns_and_all():
    symbols, _ = work()
    coder = parans.Coder(tables())
    for indexes in (np.array([[2]] * 5), np.arange(77)[None] % 4, 3, None):
        each = np.broadcast_to(np.asarray(0 if indexes is None else indexes), symbols.shape)
        data = coder.encode(symbols, indexes)
        assert data == coder.encode(symbols, np.ascontiguousarray(each))
        np.testing.assert_array_equal(coder.decode(data, indexes, shape=symbols.shape), symbols)
    with pytest.raises(ValueError, match="shape"):
        coder.encode(symbols, np.zeros((5, 76), int))
    with pytest.raises(ValueError, match="shape"):
        coder.decode(data, 3)


def test_shapes_of_any_dimensions():
    symbols, indexes = work(6, 60)
    coder = parans.Coder(tables())
    cube = coder.encode(symbols.reshape(6, 5, 12), indexes.reshape(6, 5, 12))
    assert cube == coder.encode(symbols, indexes)
    assert coder.decode(cube, indexes.reshape(6, 5, 12)).shape == (6, 5, 12)
    vector = coder.encode(symbols[0], indexes[0])
    assert vector == coder.encode(symbols[:1], indexes[:1])
    np.testing.assert_array_equal(coder.decode(vector, indexes[0]), symbols[0])
    assert coder.decode(vector, indexes[0].tolist()).tolist() == symbols[0].tolist()


def test_strided_arrays():
    symbols, indexes = work(10, 100)
    coder = parans.Coder(tables())
    part = np.s_[::3, 5:90:2]
    expected = coder.encode(symbols[part].copy(), indexes[part].copy())
    assert coder.encode(symbols[part], indexes[part]) == expected
    np.testing.assert_array_equal(coder.decode(expected, indexes[part]), symbols[part])


def test_streams_are_last_in_first_out():
    symbols, indexes = work()
    coder = parans.Coder(tables(), "rans32_16", lanes=4)
    streams = coder.streams(5)
    coder.push(streams, symbols, indexes)
    middle = streams.copy()
    coder.push(streams, symbols[:, ::-1], indexes)
    np.testing.assert_array_equal(coder.pop(streams, indexes), symbols[:, ::-1])
    assert streams == middle and len(streams) == 5
    with pytest.raises(parans.Error):
        streams.expect_initial()
    for back in (
        parans.Streams.from_byte_strings(streams.byte_strings(), "rans32_16", 4),
        parans.Streams.from_merged(streams.merged(), "rans32_16", 4),
        parans.Streams.from_merged(streams.merged(length_bytes=8, known_rows=True), "rans32_16", 4,
                                   length_bytes=8, rows=5),
        parans.Streams.from_tensor(streams.tensor(), "rans32_16", 4),
    ):
        assert back == middle
    np.testing.assert_array_equal(coder.pop(streams, indexes), symbols)
    streams.expect_initial()


def test_errors_name_what_is_wrong_and_where():
    symbols, indexes = work()
    coder = parans.Coder(tables())
    data = coder.encode(symbols, indexes)
    far = symbols.copy()
    far[3, 7] = 1000
    with pytest.raises(ValueError, match="row 3, symbol 7: symbol 1000 lies outside table"):
        coder.encode(far, indexes)
    other = indexes.copy()
    other[1, 2] = 4
    with pytest.raises(ValueError, match="row 1, symbol 2: index 4 names none of 4 tables"):
        coder.encode(symbols, other)
    with pytest.raises(parans.Error, match="truncated"):
        coder.decode(data[:-3], indexes)
    with pytest.raises(TypeError, match="F32"):
        coder.encode(symbols.astype(np.float32), indexes)
    with pytest.raises(ValueError, match="precision"):
        tables(precision=40)
    with pytest.raises(ValueError, match="table 0: all 4 probabilities are 0"):
        parans.Tables.from_pmf(np.zeros((1, 4)), 8)
    with pytest.raises(ValueError, match="family|rans"):
        parans.Coder(tables(), "rans65")
    # A failed push leaves the streams as they were.
    streams = coder.streams(5)
    with pytest.raises(ValueError):
        coder.push(streams, far, indexes)
    streams.expect_initial()


def test_tables_say_what_they_are():
    made = parans.Tables.from_cdf(np.array([[0, 3, 8, 16], [0, 16, 0, 0]]), 4, sizes=[4, 2],
                                  offsets=[-1, 5])
    assert (len(made), made.precision, made.alphabet(0), made.offset(1)) == (2, 4, 3, 5)
    assert made.cdf(0).tolist() == [0, 3, 8, 16]
    with pytest.raises(IndexError):
        made.cdf(2)
    counts = parans.Tables.from_counts([[900, 80, 20]], 12, sentinel=True)
    assert counts.alphabet(0) == 4
    with pytest.raises(ValueError, match="sentinel"):
        parans.Coder(tables(), bypass=4)


def test_models():
    rng = np.random.default_rng(3)
    shape = (3, 4, 50)
    means, scales = rng.normal(0, 20, shape), rng.uniform(0.2, 9, shape)
    symbols = np.round(rng.normal(means, scales)).astype(np.int32)
    weights = rng.random((*shape, 3))
    models = [
        parans.Distributions("gaussian", means, scales.astype(np.float32)),
        parans.Distributions("laplace", means, scales),
        parans.Mixtures("logistic", means[..., None] + [0.0, 5.0, 9.0], weights + 1, weights),
    ]
    for lanes in (1, 8):
        coder = parans.ModelCoder("rans64", lanes)
        for model in models:
            data = coder.encode(model, symbols)
            found = coder.decode(model, data)
            np.testing.assert_array_equal(found, symbols)
            assert coder.decode(model, data, dtype="int64").dtype == np.int64
    gaussian = models[0]
    fixed = parans.Distributions.from_fixed("gaussian", gaussian.means, gaussian.scales)
    assert coder.encode(fixed, symbols) == coder.encode(gaussian, symbols)
    few = rng.integers(0, 6, shape)
    coder = parans.ModelCoder("rans32_16", 4)
    for model in (
        parans.Pmfs(rng.random((*shape, 6)), 12),
        parans.Pmfs.from_counts(rng.integers(0, 99, (*shape, 6)) + 1, 12),
        parans.Uniforms(0, 6, shape),
    ):
        coder = parans.ModelCoder("rans32_16", 4, precision=12)
        streams = coder.streams(3)
        coder.push(streams, model, few)
        np.testing.assert_array_equal(coder.pop(streams, model), few)
        streams.expect_initial()
    with pytest.raises(ValueError, match="shape"):
        coder.encode(model, few[:2])
    with pytest.raises(ValueError):
        parans.Distributions("gaussian", means, -scales)


def test_learned_helpers():
    conditional = parans.GaussianConditional()
    scales = np.array([[0.0, 0.11, 0.5, 1e9]], np.float32)
    middle = int(np.searchsorted(conditional.scales, 0.5))
    assert conditional.build_indexes(scales).tolist() == [[0, 0, middle, 63]]
    coder = parans.Coder(conditional.tables, bypass=4)
    symbols = np.array([[0, 1, -2, 900]])
    indexes = conditional.build_indexes(scales)
    np.testing.assert_array_equal(
        coder.decode(coder.encode(symbols, indexes), indexes), symbols
    )
    bottleneck = parans.EntropyBottleneck([[0.5, 0.4, 0.1], [0.9, 0.1]], [-1, 2], [0.0, 3.0])
    assert bottleneck.build_indexes(3).tolist() == [0, 0, 0, 1, 1, 1]
    assert len(bottleneck.tables) == 2
    rounded = parans.quantise(np.array([[0.5, 2.6, -1.5]]), np.array([[0.0, 0.2, 0.0]]))
    assert rounded.dtype == np.int32 and rounded.tolist() == [[0, 2, -2]]
    with pytest.raises(ValueError, match="row 0, symbol 0"):
        parans.quantise([[np.nan]], [[0.0]])


def test_one_coder_in_many_threads():
    symbols, indexes = work(40, 500)
    coder = parans.Coder(tables(), lanes=4)
    expected = coder.encode(symbols, indexes)
    failures = []

    def run():
        for _ in range(20):
            if coder.encode(symbols, indexes) != expected:
                failures.append("another stream")
            if not np.array_equal(coder.decode(expected, indexes), symbols):
                failures.append("other symbols")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
