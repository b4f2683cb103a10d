"""Frames through fsspec's files."""

import io
import random

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

import parans  # noqa: E402
import parans.fsspec  # noqa: E402

CONTENT = bytes(random.Random(0).choices(b"abcdefgh", k=300_000))


@pytest.fixture(autouse=True)
def registered():
    parans.fsspec.register()


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    if request.param == "file":
        return f"file://{tmp_path}/x.parans"
    return f"memory://{tmp_path.name}/x.parans"


@pytest.mark.parametrize("compression", ["parans", "infer"])
def test_write_and_read(url, compression):
    with fsspec.open(url, "wb", compression=compression) as file:
        for at in range(0, len(CONTENT), 70_001):
            part = CONTENT[at : at + 70_001]
            assert file.write(part) == len(part)
    with fsspec.open(url, "rb") as file:
        frame = file.read()
    assert len(frame) < len(CONTENT) / 2
    assert parans.decompress(frame) == CONTENT
    with fsspec.open(url, "rb", compression=compression) as file:
        assert file.read() == CONTENT
    with fsspec.open(url, "rb", compression=compression) as file:
        assert file.seek(-10, io.SEEK_END) == len(CONTENT) - 10
        assert file.read(100) == CONTENT[-10:]
        assert file.seek(1234) == 1234
        assert file.read(5000) == CONTENT[1234:6234]
        assert file.tell() == 6234


def test_text(url):
    text = "first line\nsecond line: ä\n" * 1000
    with fsspec.open(url, "wt", compression="infer", encoding="utf-8", newline="\n") as file:
        file.write(text)
    with fsspec.open(url, "rt", compression="infer", encoding="utf-8") as file:
        assert list(file) == text.splitlines(keepends=True)


def test_empty(url):
    with fsspec.open(url, "wb", compression="infer"):
        pass
    with fsspec.open(url, "rb", compression="infer") as file:
        assert file.read() == b""


def test_many_files_and_other_compressions(tmp_path):
    names = [f"{tmp_path}/{name}" for name in ("a.parans", "b.gz", "c.bin")]
    for name in names:
        with fsspec.open(name, "wb", compression="infer") as file:
            file.write(CONTENT)
    for opened in fsspec.open_files(names, compression="infer"):
        with opened as file:
            assert file.read() == CONTENT


class Recorder(io.RawIOBase):
    """A file that keeps the lengths of what is written to it, or read from it."""

    def __init__(self, data=b""):
        self.lengths = []
        self.file = io.BytesIO(data)

    def writable(self):
        return True

    def write(self, data):
        self.lengths.append(len(data))
        return self.file.write(data)

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, *position):
        return self.file.seek(*position)

    def readinto(self, buffer):
        length = self.file.readinto(buffer)
        self.lengths.append(length)
        return length


def test_it_streams():
    big = random.Random(1).randbytes(1 << 20) * 32
    output = Recorder()
    file = parans.fsspec.open(output, "w")
    for at in range(0, len(big), 1 << 20):
        file.write(big[at : at + (1 << 20)])
        if at == len(big) // 2:
            before = sum(output.lengths)
    assert before > len(big) // 8
    file.close()
    frame = output.file.getvalue()
    source = Recorder(frame)
    with parans.fsspec.open(source) as found:
        found.seek(5)
        assert found.read() == big[5:]
        assert found.read() == b""
        found.seek(len(big) + 3)
        assert found.read() == b""
    # No chunk is read twice.
    assert sum(source.lengths) < 1.1 * len(frame) + (1 << 20)
    source = Recorder(frame)
    with parans.fsspec.open(source) as found:
        found.seek(20 << 20)
        assert found.read(1000) == big[20 << 20 : (20 << 20) + 1000]
    assert sum(source.lengths) < len(big) // 4


def test_a_file_that_does_not_seek():
    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self.file = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.file.readinto(buffer)

    assert parans.fsspec.open(Pipe(parans.compress(CONTENT))).read() == CONTENT


def test_the_outer_file_stays_open():
    output = io.BytesIO()
    with parans.fsspec.open(output, "wb", chunk_size=1000) as file:
        file.write(CONTENT)
    assert parans.decompress(output.getvalue()) == CONTENT
    with parans.fsspec.open(output, "rb") as file:
        assert file.read(10) == CONTENT[:10]
    assert not output.closed


def test_modes():
    for mode in ("a", "r+", "rw", ""):
        with pytest.raises(ValueError, match="mode"):
            parans.fsspec.open(io.BytesIO(), mode)


def test_damage_raises_the_error(tmp_path):
    frame = bytearray(parans.compress(CONTENT))
    path = tmp_path / "x.parans"
    for at in range(0, len(frame), len(frame) // 20):
        for broken in (frame[:at], frame[:at] + bytes([frame[at] ^ 4]) + frame[at + 1 :]):
            path.write_bytes(broken)
            with pytest.raises(parans.Error):
                with fsspec.open(path, compression="infer") as file:
                    file.read()
