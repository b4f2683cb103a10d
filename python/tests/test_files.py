"""Files of tensors, reading at random, and what is left where writing fails."""

import io
import os
import threading

import numpy as np
import pytest

import parans


def tensors():
    rng = np.random.default_rng(2)
    return {
        "layer.weight": rng.normal(size=(64, 33)).astype(np.float32),
        "layer.bias": rng.normal(size=33).astype(np.float16),
        "steps": np.array(12345),
        "mask": rng.random((5, 5)) < 0.5,
        "empty": np.zeros((0, 4), np.float32),
        "größe": rng.integers(-5, 5, (7,)).astype(np.int8),
    }


def test_files_come_back(tmp_path):
    path = tmp_path / "model.parans"
    given = tensors()
    parans.save_file(given, path, {"format": "np", "note": "häh"})
    found = parans.load_file(path)
    assert sorted(found) == sorted(given)
    for name, array in given.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
    with parans.open(path) as archive:
        assert archive.metadata() == {"format": "np", "note": "häh"}
        assert archive.container == "safetensors"
        assert "steps" in archive and "step" not in archive and len(archive) == len(given)
        assert list(archive) == archive.keys()
        with pytest.raises(KeyError):
            archive["step"]


def test_the_content_is_a_safetensors_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="compares with safetensors")
    path = tmp_path / "model.parans"
    parans.save_file(tensors(), path, {"a": "b"})
    content = parans.decompress(path.read_bytes())
    theirs = safetensors.load(content)
    for name, array in tensors().items():
        np.testing.assert_array_equal(theirs[name], array)
    # What safetensors wrote is read as well.
    archive = parans.open(parans.compress(safetensors.save(tensors())))
    np.testing.assert_array_equal(archive["layer.weight"], tensors()["layer.weight"])


def test_a_failed_save_leaves_the_file_whole(tmp_path):
    path = tmp_path / "model.parans"
    parans.save_file(tensors(), path)
    before = path.read_bytes()

    class Broken:
        dtype, shape = np.dtype("float32"), (3,)

        def __array__(self, *args, **kwargs):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        parans.save_file({"a": np.ones(3, np.float32), "b": Broken()}, path)
    with pytest.raises(ValueError):
        parans.save_file({"a": np.ones(3, complex)}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.parans"]


def test_permissions_are_those_of_the_file_before(tmp_path):
    path = tmp_path / "model.parans"
    parans.save_file(tensors(), path)
    assert path.stat().st_mode & 0o777 == 0o666 & ~parans._replace._umask()
    path.chmod(0o640)
    parans.save_file(tensors(), path)
    assert path.stat().st_mode & 0o777 == 0o640


class Counting(io.BytesIO):
    """A file that counts the bytes that are read of it."""

    taken = 0

    def read(self, size=-1):
        data = super().read(size)
        self.taken += len(data)
        return data


def test_only_what_is_asked_for_is_read(tmp_path):
    path = tmp_path / "large.parans"
    rng = np.random.default_rng(3)
    given = {f"t{at}": rng.normal(size=200_000).astype(np.float32) for at in range(8)}
    parans.save_file(given, path)
    file = Counting(path.read_bytes())
    with parans.open(file) as archive:
        np.testing.assert_array_equal(archive["t5"], given["t5"])
    assert file.taken < path.stat().st_size / 4
    # Ranges of the content, and the content as a file.
    with parans.open(path) as archive:
        whole = archive.read(0, archive.content_length)
        assert archive.read(1000, 2000) == whole[1000:2000]
        with pytest.raises(ValueError):
            archive.read(10, archive.content_length + 1)
        content = archive.file()
        content.seek(-100, io.SEEK_END)
        assert content.read() == whole[-100:]


def test_numpy_archives_are_read_by_name():
    file = io.BytesIO()
    a, b = np.arange(20.0).reshape(4, 5), np.asfortranarray(np.arange(6).reshape(2, 3))
    np.savez(file, a=a, b=b)
    with parans.open(parans.compress(file.getvalue())) as archive:
        assert archive.container == "npz"
        np.testing.assert_array_equal(archive["a"], a)
        np.testing.assert_array_equal(archive["b"], b)


def test_writers(tmp_path):
    path = tmp_path / "things.parans"
    with parans.Writer(path) as writer:
        writer.add("array", np.arange(10))
        writer.add("text", b"hello")
    with parans.open(path) as archive:
        np.testing.assert_array_equal(archive["array"], np.arange(10))
        assert archive["text"] == b"hello"
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        with parans.Writer(path) as writer:
            writer.add("array", np.arange(10))
            raise RuntimeError("in the middle")
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["things.parans"]
    with pytest.raises(ValueError):
        with parans.Writer(path) as writer:
            writer.add("same", b"1")
            writer.add("same", b"2")
    assert path.read_bytes() == before
    memory = io.BytesIO()
    with parans.Writer(memory) as writer:
        writer.add("x", np.ones(3))
    np.testing.assert_array_equal(parans.open(memory)["x"], np.ones(3))


def test_errors_of_file_objects_are_raised_as_they_are(tmp_path):
    class Failing(io.BytesIO):
        def write(self, data):
            raise PermissionError("not here")

        def read(self, size=-1):
            raise ConnectionError("gone")

    with pytest.raises(PermissionError, match="not here"):
        with parans.Writer(Failing()) as writer:
            writer.add("x", np.ones(3))
    with pytest.raises(ConnectionError, match="gone"):
        parans.open(Failing(b"12345678" * 100))
    with pytest.raises(FileNotFoundError):
        parans.open(tmp_path / "none")
    with pytest.raises(parans.Error):
        parans.open(b"no frame at all, but long enough to be looked at for one, byte by byte")


def test_ctrl_c_ends_a_long_call():
    """A signal that comes while bytes are coded is raised at the next block."""
    import signal

    # A program in the background of a shell is started without the handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    data = np.random.default_rng(4).integers(0, 256, 256 << 20, dtype=np.uint8)
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(50):
            parans.compress(data.data)
    timer.join()
    signal.signal(signal.SIGINT, before)


def test_other_threads_run_meanwhile():
    """The interpreter is free while a call codes: a thread that counts gets on."""
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1

    data = np.random.default_rng(5).normal(size=8 << 20).astype(np.float32)
    thread = threading.Thread(target=count)
    thread.start()
    before = counted[0]
    parans.compress(data)
    gained = counted[0] - before
    stop.set()
    thread.join()
    assert gained > 1000


def test_a_checkpoint_against_the_one_before(tmp_path):
    generator = np.random.default_rng(5)
    old = {"w": generator.normal(0, 0.02, 300_000).astype(np.float32)}
    new = {"w": old["w"] + generator.normal(0, 1e-6, 300_000).astype(np.float32)}
    (tmp_path / "sub").mkdir()
    alone, first, second = (tmp_path / name for name in ("alone", "first", "sub/second"))
    parans.save_file(new, alone)
    parans.save_file(old, first)
    parans.save_file(new, second, base=first)
    assert second.stat().st_size < 0.6 * alone.stat().st_size
    assert (parans.load_file(second)["w"] == new["w"]).all()
    first.rename(tmp_path / "moved")
    with pytest.raises(parans.Error, match="first"):
        parans.load_file(second)
    assert (parans.load_file(second, base=tmp_path / "moved")["w"] == new["w"]).all()
    with pytest.raises(parans.Error, match="is not the base"):
        parans.open(second, base=[alone])
    with pytest.raises(parans.Error, match="none was given"):
        parans.open(second.read_bytes())["w"]
