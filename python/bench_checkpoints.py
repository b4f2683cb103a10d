"""Sizes and times of checkpoints of several processes, with and without parans.

    python python/bench_checkpoints.py FOLDER PROCESSES

FOLDER keeps the model that was trained, so that both runs save the same.
"""

import argparse
import inspect
import os
import shutil
import sys
import time
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

import parans.dcp

WAYS = {
    "DCP alone": (dcp.FileSystemWriter, dcp.FileSystemReader),
    "with parans": (parans.dcp.writer, parans.dcp.reader),
}


def train():
    """A transformer of 7 million weights after 60 steps of Adam on Python's own modules."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(384, 6, 1536, dropout=0, batch_first=True)
    model = torch.nn.ModuleList(
        [
            torch.nn.Embedding(256, 384),
            torch.nn.TransformerEncoder(layer, 4),
            torch.nn.Linear(384, 256),
        ]
    )
    adam = torch.optim.Adam(model.parameters(), 3e-4)
    text = "".join(inspect.getsource(module) for module in (argparse, inspect, shutil))
    text = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).long()
    mask = torch.nn.Transformer.generate_square_subsequent_mask(128)
    for _ in range(60):
        starts = torch.randint(len(text) - 129, (8,))
        rows = torch.stack([text[at : at + 129] for at in starts])
        embed, body, head = model
        scores = head(body(embed(rows[:, :-1]), mask=mask, is_causal=True))
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    state = {}
    for (name, weight), moments in zip(model.named_parameters(), adam.state.values()):
        state[f"f32 weights/{name}"] = weight.detach()
        state[f"bf16 weights/{name}"] = weight.detach().bfloat16()
        state[f"Adam's moments/{name}/1"] = moments["exp_avg"]
        state[f"Adam's moments/{name}/2"] = moments["exp_avg_sq"]
    return state


def measure(rank, folder, processes):
    warnings.simplefilter("ignore")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    mesh = init_device_mesh("cpu", (processes,))
    whole = torch.load(f"{folder}/state.pt")
    parts = {name: distribute_tensor(tensor, mesh, [Shard(0)]) for name, tensor in whole.items()}
    saving, loading = {way: [] for way in WAYS}, {way: [] for way in WAYS}
    for way, (writer, reader) in list(WAYS.items()) * 10:
        path = f"{folder}/{way}"
        if rank == 0:
            shutil.rmtree(path, ignore_errors=True)
        dist.barrier()
        begin = time.perf_counter()
        dcp.save(parts, storage_writer=writer(path))
        saving[way].append(time.perf_counter() - begin)
        # The last dimension is cut where the first was.
        found = {
            name: distribute_tensor(torch.zeros_like(tensor), mesh, [Shard(tensor.dim() - 1)])
            for name, tensor in whole.items()
        }
        dist.barrier()
        begin = time.perf_counter()
        dcp.load(found, storage_reader=reader(path))
        loading[way].append(time.perf_counter() - begin)
        assert all(torch.equal(found[name].full_tensor(), whole[name]) for name in whole)
    for way, (_, reader) in WAYS.items() if rank == 0 else ():
        sizes = {}
        for index, stored in reader(f"{folder}/{way}").read_metadata().storage_data.items():
            part = index.fqn.partition("/")[0]
            sizes[part] = sizes.get(part, 0) + stored.length
        sizes["all files"] = sum(entry.stat().st_size for entry in os.scandir(f"{folder}/{way}"))
        print(way, {part: f"{size / 1e6:.2f} MB" for part, size in sizes.items()})
        print(f"  fastest save {min(saving[way]):.2f} s, load {min(loading[way]):.2f} s")
    dist.destroy_process_group()


if __name__ == "__main__":
    folder, processes = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(f"{folder}/state.pt"):
        torch.save(train(), f"{folder}/state.pt")
    mp.spawn(measure, (folder, processes), nprocs=processes)
    os.remove(f"{folder}/meeting")
