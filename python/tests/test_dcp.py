"""Checkpoints of PyTorch's distributed checkpoint engine, saved and loaded by gloo processes."""

import io
import os
import signal

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("torch.distributed.checkpoint", reason="this PyTorch has no DCP")

import torch.distributed as dist  # noqa: E402
import torch.distributed.checkpoint as dcp  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
from torch.distributed.checkpoint.api import CheckpointException  # noqa: E402
from torch.distributed.checkpoint.filesystem import SerializationFormat  # noqa: E402
from torch.distributed.checkpoint.state_dict import (  # noqa: E402
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.tensor import DTensor, Shard, distribute_tensor  # noqa: E402

import parans  # noqa: E402
import parans.dcp  # noqa: E402

if not dist.is_available() or not dist.is_gloo_available():
    pytest.skip("this PyTorch has no gloo processes", allow_module_level=True)

DTYPES = [
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int64,
]
# No multiple of two processes, in either dimension.
ROWS, COLUMNS = 67, 129


def whole(dtype, seed=0):
    """The tensor of a type that the tests save; every process makes the same."""
    values = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))
    return (values * (1000 if dtype is torch.int64 else 0.05)).to(dtype)


def shard(tensor, mesh, dimension):
    """This process' part of a tensor, as a distributed tensor."""
    part = tensor.chunk(mesh.size(), dimension)[mesh.get_local_rank()]
    return DTensor.from_local(
        part.clone(memory_format=torch.contiguous_format),
        mesh,
        [Shard(dimension)],
        run_check=False,
        shape=tensor.shape,
        stride=tensor.stride(),
    )


def same(a, b):
    """Whether two tensors are equal bit for bit."""
    return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(
        a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8)
    )


def name(dtype):
    return str(dtype).removeprefix("torch.")


def trained(mesh=None):
    """A small model after two steps of Adam, its parameters in shards where there is a mesh."""
    model = torch.nn.Linear(24, 16)
    generator = torch.Generator().manual_seed(7)
    for key, parameter in list(model.named_parameters()):
        value = torch.randn(parameter.shape, generator=generator)
        value = value if mesh is None else distribute_tensor(value, mesh, [Shard(0)])
        setattr(model, key, torch.nn.Parameter(value))
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = parameter.detach() * 0.1 + 1
        optimizer.step()
    return model, optimizer


def start(rank, folder):
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    return init_device_mesh("cpu", (2,))


def save_and_reshard(rank, folder):
    """Saves Shard(0) by two processes, and loads Shard(1) by the same two."""
    mesh = start(rank, folder)
    state = {name(dtype): shard(whole(dtype), mesh, 0) for dtype in DTYPES}
    dcp.save(state, storage_writer=parans.dcp.writer(f"{folder}/tensors"))

    state = {name(d): shard(torch.zeros(ROWS, COLUMNS).to(d), mesh, 1) for d in DTYPES}
    dcp.load(state, storage_reader=parans.dcp.reader(f"{folder}/tensors"))
    for dtype in DTYPES:
        wanted = shard(whole(dtype), mesh, 1)
        assert same(state[name(dtype)].to_local(), wanted.to_local()), dtype

    model, optimizer = trained(mesh)
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer)}
    dcp.save(state, storage_writer=parans.dcp.writer(f"{folder}/adam", thread_count=2))

    state = {name(dtype): shard(whole(dtype), mesh, 0) for dtype in DTYPES}
    dcp.async_save(state, storage_writer=parans.dcp.writer(f"{folder}/later")).result()
    dist.destroy_process_group()


def save_and_die(rank, folder):
    """Saves over ``tensors`` and into ``fresh``; process 1 dies at its third tensor."""
    mesh = start(rank, folder)
    state = {name(dtype): shard(whole(dtype, seed=1), mesh, 0) for dtype in DTYPES}
    transform, calls = parans.dcp.ParansExtension.transform_to, []

    def transform_to(self, output):
        calls.append(output)
        if rank == 1 and len(calls) == 3:
            output.flush()
            open(f"{folder}/killed", "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return transform(self, output)

    parans.dcp.ParansExtension.transform_to = transform_to
    target = "tensors" if os.path.exists(f"{folder}/over") else "fresh"
    dcp.save(state, storage_writer=parans.dcp.writer(f"{folder}/{target}"))


def load_whole(path, dtypes=DTYPES):
    state = {name(dtype): torch.zeros(ROWS, COLUMNS).to(dtype) for dtype in dtypes}
    dcp.load(state, storage_reader=parans.dcp.reader(path), no_dist=True)
    return state


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoints of two processes."""
    folder = tmp_path_factory.mktemp("checkpoints")
    mp.spawn(save_and_reshard, (str(folder),), nprocs=2)
    (folder / "meeting").unlink()
    return folder


@pytest.mark.parametrize("path", ["tensors", "later"])
def test_one_process_loads_what_two_saved(saved, path):
    state = load_whole(saved / path)
    for dtype in DTYPES:
        assert same(state[name(dtype)], whole(dtype)), dtype


def test_the_optimizer_comes_back_in_one_process(saved):
    model, optimizer = trained()
    wanted = {key: value.clone() for key, value in model.state_dict().items()}
    moments = [
        {key: torch.as_tensor(value).clone() for key, value in entry.items()}
        for entry in optimizer.state_dict()["state"].values()
    ]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for entry in optimizer.state.values():
            for value in entry.values():
                value.zero_()
    state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer)}
    dcp.load(state, storage_reader=parans.dcp.reader(saved / "adam"), no_dist=True)
    set_optimizer_state_dict(model, optimizer, state["optimizer"])
    assert all(same(value, wanted[key]) for key, value in state["model"].items())
    for entry, before in zip(optimizer.state_dict()["state"].values(), moments, strict=True):
        assert entry.keys() == before.keys() >= {"step", "exp_avg", "exp_avg_sq"}
        assert all(same(entry[key], before[key]) for key in entry)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("over", [False, True], ids=["new folder", "same folder"])
def test_a_killed_process_leaves_the_earlier_checkpoint(saved, over):
    if over:
        (saved / "over").touch()
    folder = saved / ("tensors" if over else "fresh")
    before = {path.name for path in folder.iterdir()} if over else set()
    # The other process may end first, with an error of its own.
    with pytest.raises((mp.ProcessExitedException, mp.ProcessRaisedException)):
        mp.spawn(save_and_die, (str(saved),), nprocs=2)
    (saved / "killed").unlink()
    (saved / "meeting").unlink(missing_ok=True)
    state = load_whole(saved / "tensors")
    for dtype in DTYPES:
        assert same(state[name(dtype)], whole(dtype)), dtype
    left = {path.name for path in folder.iterdir()} - before
    assert any(item.endswith(".distcp") for item in left)
    if not over:
        assert ".metadata" not in left
        with pytest.raises(CheckpointException) as failure:
            load_whole(folder)
        assert "metadata" in str(failure.value.failures[0][0])
        return
    # The next save that ends well takes the place of both.
    state = {name(dtype): whole(dtype, seed=2) for dtype in DTYPES}
    with pytest.warns(UserWarning, match="overwriting"):
        dcp.save(state, storage_writer=parans.dcp.writer(folder), no_dist=True)
    assert not {path.name for path in folder.iterdir()} & (before | left) - {".metadata"}
    state = load_whole(folder)
    assert all(same(state[name(dtype)], whole(dtype, seed=2)) for dtype in DTYPES)


def test_objects_and_urls(tmp_path):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    state = {"weight": whole(torch.bfloat16), "epoch": 3, "names": ["a", "b"], "empty": b""}
    for path in (tmp_path / "folder", f"file://{tmp_path}/url"):
        dcp.save(state, storage_writer=parans.dcp.writer(path, chunk_size=4096), no_dist=True)
        found = {"weight": torch.zeros(ROWS, COLUMNS).bfloat16(), "epoch": 0, "names": None}
        found["empty"] = None
        dcp.load(found, storage_reader=parans.dcp.reader(path), no_dist=True)
        assert same(found.pop("weight"), state["weight"])
        assert found == {key: state[key] for key in found}


def test_checkpoints_without_compression_are_read(tmp_path):
    state = {name(dtype): whole(dtype) for dtype in DTYPES}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(tmp_path), no_dist=True)
    found = load_whole(tmp_path)
    assert all(same(found[key], state[key]) for key in state)


@pytest.mark.parametrize("dtype", DTYPES, ids=name)
def test_sizes_are_those_of_safetensors(tmp_path, dtype):
    files = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    values = torch.randn(512, 512, generator=torch.Generator().manual_seed(1)) * 0.05
    tensor = (values * 1000 if dtype is torch.int64 else values).to(dtype)
    dcp.save({"a": tensor}, storage_writer=parans.dcp.writer(tmp_path), no_dist=True)
    size = sum(path.stat().st_size for path in tmp_path.glob("*.distcp"))
    other = len(parans.compress(files.save({"a": tensor})))
    # torch.save's archive around the tensor is some 1.2 kB coded.
    assert size < other + 2000 < tensor.nbytes


def test_the_safetensors_format_is_refused(tmp_path):
    form = SerializationFormat.SAFETENSORS
    with pytest.raises(ValueError, match="SAFETENSORS"):
        parans.dcp.writer(tmp_path, serialization_format=form)
    other = dcp.FileSystemWriter(
        tmp_path, serialization_format=form, _extensions=[parans.dcp.ParansExtension()]
    )
    with pytest.raises(CheckpointException) as failure:
        dcp.save({"a": torch.zeros(3)}, storage_writer=other, no_dist=True)
    assert "SAFETENSORS" in str(failure.value.failures[0][0])


def test_dcp_alone_says_that_it_lacks_the_extension(tmp_path):
    state = {"a": torch.ones(3)}
    dcp.save(state, storage_writer=parans.dcp.writer(tmp_path), no_dist=True)
    with pytest.raises(CheckpointException) as failure:
        dcp.load(state, storage_reader=dcp.FileSystemReader(tmp_path), no_dist=True)
    assert "Unknown extension" in str(failure.value.failures[0][0])


def test_large_objects_are_read_at_once(tmp_path, monkeypatch):
    for module in (parans.dcp, parans._files):
        monkeypatch.setattr(module, "_PIECE", 4000)
    state = {"bytes": bytes(range(256)) * 1000, "names": [f"name {n}" for n in range(9000)]}
    dcp.save(state, storage_writer=parans.dcp.writer(tmp_path), no_dist=True)
    found = dict.fromkeys(state)
    dcp.load(found, storage_reader=parans.dcp.reader(tmp_path), no_dist=True)
    assert found == state


def test_large_tensors_are_decoded_in_pieces(tmp_path, monkeypatch):
    for module in (parans.dcp, parans._files):
        monkeypatch.setattr(module, "_PIECE", 4000)
    lengths = []
    read = parans.Archive.read

    def recorded(self, start, stop):
        lengths.append(stop - start)
        return read(self, start, stop)

    monkeypatch.setattr(parans.Archive, "read", recorded)
    state = {name(dtype): whole(dtype) for dtype in DTYPES}
    writer = parans.dcp.writer(tmp_path, chunk_size=1024)
    dcp.save(state, storage_writer=writer, no_dist=True)
    found = load_whole(tmp_path)
    assert all(same(found[key], state[key]) for key in state)
    assert 3000 < max(lengths) <= 4000


@pytest.mark.parametrize("piece", [1000, 16 << 20], ids=["in pieces", "whole"])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_raises_the_error(tmp_path, monkeypatch, damage, piece):
    monkeypatch.setattr(parans.dcp, "_PIECE", piece)
    dtype = torch.float32
    dcp.save({name(dtype): whole(dtype)}, storage_writer=parans.dcp.writer(tmp_path), no_dist=True)
    [path] = tmp_path.glob("*.distcp")
    data = bytearray(path.read_bytes())
    for at in range(50, len(data), len(data) // 7):
        broken = data[:]
        if damage == "flip":
            broken[at] ^= 0x10
        else:
            del broken[at:]
        path.write_bytes(broken)
        with pytest.raises(CheckpointException) as failure:
            load_whole(tmp_path, [dtype])
        assert isinstance(failure.value.failures[0][0], parans.Error), failure.value


def test_other_versions_are_refused():
    extension = parans.dcp.ParansExtension()
    assert extension.get_descriptor() == "stream.parans/1"
    assert isinstance(extension.from_descriptor("1.2"), parans.dcp.ParansExtension)
    with pytest.raises(ValueError, match="version"):
        extension.from_descriptor("2")


def archive(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def written(data, piece):
    """The frame of bytes that come in pieces."""
    file = io.BytesIO()
    writer = parans._parans.RecognisingFile(file)
    for at in range(0, len(data), piece):
        assert writer.write(data[at : at + piece]) == len(data[at : at + piece])
    writer.finish()
    writer.finish()
    return file.getvalue()


# Types that parans names and numpy has no arrays for.
KINDS = {
    torch.complex64: "C64",
    torch.complex128: "C128",
    torch.float64: "float64",
    torch.bool: "bool",
    torch.uint16: "uint16",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e8m0fnu: "F8_E8M0",
    torch.int8: "int8",
    **{dtype: name(dtype) for dtype in DTYPES},
}


@pytest.mark.parametrize("dtype", KINDS, ids=name)
def test_tensors_are_found(dtype):
    tensor = torch.arange(5000).remainder(100).to(dtype)
    value = {"a": tensor, "view": tensor[5:], "n": [1, "text", 2.5, None], "b": torch.ones(3)}
    data = archive(value)
    for piece in (len(data), 1 << 16, 997, 1):
        frame = written(data, piece)
        with parans.open(frame) as found:
            assert found.container == "torch"
            assert found.read(0, found.content_length) == data
            kinds = {entry: found.info(entry) for entry in found}
        wanted = {"a": KINDS[dtype], "view": KINDS[dtype], "b": "float32"}
        assert {entry: kind[0] for entry, kind in kinds.items()} == wanted
        for entry, (_, shape, offset, length) in kinds.items():
            raw = value[entry].reshape(-1).view(torch.uint8).numpy().tobytes()
            assert (shape, data[offset : offset + length]) == (list(value[entry].shape), raw)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_read(protocol):
    value = {"a": torch.ones(300), "b": torch.ones(20).bfloat16(), "c": torch.ones(7).half()}
    value.update({f"name {n}": n * 1000 for n in range(300)}, again=value["b"][3:])
    found = parans.open(written(archive(value, pickle_protocol=protocol), 1 << 20))
    kinds = [found.info(entry)[0] for entry in found]
    assert kinds == ["float32", "bfloat16", "float16", "bfloat16"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"PK\x03\x04",
        b"no archive" * 1000,
        archive([1, 2, 3]),
        archive(torch.ones(1000))[:700],
        archive(torch.ones(1000))[:1200],
        archive(torch.ones(1000), _use_new_zipfile_serialization=False),
        archive(torch.ones(1000)).replace(b"_rebuild_tensor_v2", b"\x80ebuild_tensor_v2"),
        archive(torch.ones(1000)).replace(b"FloatStorage", b"FlootStorage"),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_is_not_understood_stays_the_same(data):
    for piece in (max(len(data), 1), 7):
        found = parans.open(written(data, piece))
        assert found.read(0, found.content_length) == data


def test_a_pickle_executes_nothing():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("executed",))

    found = parans.open(written(archive([Trap(), torch.ones(3)]), 1 << 20))
    assert {entry: found.info(entry)[:2] for entry in found} == {"1": ("float32", [3])}
