"""Prints the speed of the package as a user calls it, beside its peers, as one Markdown table.

    python python/bench.py [--threads 1] [--repeats 9]

Peers that are not installed are left out. Ours and a peer's calls take turns; the best of each
counts. Rates are millions of symbols per second, and of bytes for files.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--ready", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


ARGUMENTS = arguments()
if not ARGUMENTS.ready:
    # Thread pools are sized when they start.
    count = str(ARGUMENTS.threads)
    threads = {"RAYON_NUM_THREADS": count, "OMP_NUM_THREADS": count}
    command = [sys.executable, "-W", "ignore", *sys.argv, "--ready"]
    sys.exit(subprocess.run(command, env=os.environ | threads).returncode)

import numpy as np  # noqa: E402

import parans  # noqa: E402

ROWS = []


def best(*calls):
    """The best time of each call, in turns."""
    times = [float("inf")] * len(calls)
    for call in calls:
        call()
    for _ in range(ARGUMENTS.repeats):
        for at, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            times[at] = min(times[at], time.perf_counter() - begin)
    return times


def line(work, peer, unit, amount, push, pop):
    """One line: each of ``push`` and ``pop`` is the peer's call and ours."""
    rates = [amount / seconds / 1e6 for seconds in (*best(*push), *best(*pop))]
    theirs = f"{rates[0]:.1f} / {rates[2]:.1f}"
    ours = f"{rates[1]:.1f} / {rates[3]:.1f}"
    ratio = f"{rates[1] / rates[0]:.1f} / {rates[3] / rates[2]:.1f}"
    ROWS.append(f"| {work} | {peer} | {theirs} | {ours} | {ratio} | {unit} |")


def torch_ans():
    import torch
    import torch_ans.utils as peer

    from parans.torch_ans import TorchANSInterface

    torch.set_num_threads(ARGUMENTS.threads)
    torch.manual_seed(0)
    symbols = torch.randint(0, 256, (48, 8192), dtype=torch.int32)
    indexes = torch.zeros_like(symbols)
    for impl, lanes, precision in [("rans64", 1, 16), ("rans32_16", 4, 15)]:
        pair = []
        for kind in (peer.TorchANSInterface, TorchANSInterface):
            coder = kind(impl, num_interleaves=lanes, freq_precision=precision,
                         num_parallel_states=48, bypass_coding=False)
            coder.init_params(torch.ones(1, 256), torch.tensor([256]), torch.tensor([0]))
            pair.append(coder)
        data = pair[1].encode_with_indexes(symbols, indexes)
        assert data == pair[0].encode_with_indexes(symbols, indexes)
        line(
            f"`encode_with_indexes` / `decode_with_indexes`, {impl} x{lanes}, 48 x 8192",
            "torch_ans", "Msymbol/s", symbols.numel(),
            [lambda c=c: c.encode_with_indexes(symbols, indexes) for c in pair],
            [lambda c=c, d=data: c.decode_with_indexes(d, indexes) for c in pair],
        )


def compressai():
    import compressai.ans as peer
    from compressai.entropy_models import GaussianConditional
    from compressai.models.google import get_scale_table

    import parans.compressai as ours

    model = GaussianConditional(None)
    model.update_scale_table(get_scale_table())
    tables = [model._quantized_cdf, model._cdf_length.reshape(-1), model._offset.reshape(-1)]
    tables = [table.int().numpy() for table in tables]
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 40, (16, 192 * 16 * 16)).astype(np.int32)
    scales = model.scale_table.numpy()[indexes]
    symbols = np.round(rng.normal(size=indexes.shape) * scales).astype(np.int32)
    lists = [part.tolist() for part in (symbols[0], indexes[0], *tables)]
    encoders = peer.RansEncoder(), ours.RansEncoder()
    decoders = peer.RansDecoder(), ours.RansDecoder()
    data = encoders[0].encode_with_indexes(*lists)
    assert data == encoders[1].encode_with_indexes(*lists)

    def theirs():
        encoders[0].encode_with_indexes(*lists)

    def back():
        decoders[0].decode_with_indexes(data, *lists[1:])

    count = symbols.shape[1]
    line("lists of one image, 192 x 16 x 16 latents", "CompressAI", "Msymbol/s", count,
         [theirs, lambda: encoders[1].encode_with_indexes(*lists)],
         [back, lambda: decoders[1].decode_with_indexes(data, *lists[1:])])
    arrays = (symbols[0], indexes[0], *tables)
    line("the same as arrays", "CompressAI's lists", "Msymbol/s", count,
         [theirs, lambda: encoders[1].encode_with_indexes(*arrays)],
         [back, lambda: decoders[1].decode_with_indexes(data, *arrays[1:])])
    strings = ours.encode_batch(symbols, indexes, *tables)
    one = [best(theirs)[0] * 16, best(back)[0] * 16]
    batch = best(lambda: ours.encode_batch(symbols, indexes, *tables),
                 lambda: ours.decode_batch(strings, indexes, *tables))
    rates = [symbols.size / seconds / 1e6 for seconds in (*one, *batch)]
    ROWS.append(
        f"| a batch of 16 images as arrays | CompressAI's lists, one by one | {rates[0]:.1f} / "
        f"{rates[1]:.1f} | {rates[2]:.1f} / {rates[3]:.1f} | {rates[2] / rates[0]:.1f} / "
        f"{rates[3] / rates[1]:.1f} | Msymbol/s |"
    )


def files():
    import safetensors.numpy

    rng = np.random.default_rng(0)
    tensors = {f"layer{at}": rng.normal(0, 0.02, (1024, 2048)).astype(np.float32)
               for at in range(8)}
    size = sum(tensor.nbytes for tensor in tensors.values())
    with tempfile.TemporaryDirectory() as folder:
        own, theirs = folder + "/own", folder + "/theirs"
        line("`save_file` / `load_file`, 64 MiB of float32 weights", "safetensors", "MB/s", size,
             [lambda: safetensors.numpy.save_file(tensors, theirs),
              lambda: parans.save_file(tensors, own)],
             [lambda: safetensors.numpy.load_file(theirs), lambda: parans.load_file(own)])
        left = [os.path.getsize(path) / size for path in (theirs, own)]
        note = [f"size left: safetensors {left[0]:.3f}, parans {left[1]:.3f}"]
        try:
            import zstandard
        except ImportError:
            return note
        packer, unpacker = zstandard.ZstdCompressor(3), zstandard.ZstdDecompressor()
        with open(theirs, "rb") as file:
            content = file.read()
        packed, frame = packer.compress(content), parans.compress(content)
        line("the same bytes in memory, `compress` / `decompress`", "zstd -3", "MB/s", size,
             [lambda: packer.compress(content), lambda: parans.compress(content)],
             [lambda: unpacker.decompress(packed), lambda: parans.decompress(frame)])
        return [*note, f"zstd -3 {len(packed) / size:.3f}"]


def calls():
    """The time of one call on 1,000 symbols."""
    coder = parans.Coder(parans.Tables.from_pmf(np.ones((1, 256)), 12), "rans32_16", lanes=4)
    symbols = np.random.default_rng(0).integers(0, 256, (1, 1000)).astype(np.int32)
    indexes = np.zeros_like(symbols)
    data = coder.encode(symbols, indexes)
    many = range(1000)
    encode, decode = best(
        lambda: [coder.encode(symbols, indexes) for _ in many],
        lambda: [coder.decode(data, indexes) for _ in many],
    )
    return f"one call on 1,000 symbols: encode {encode * 1e3:.1f} us, decode {decode * 1e3:.1f} us"


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(text.split(":")[1].strip() for text in file if "model name" in text)
    except (OSError, StopIteration):
        return platform.processor()


notes = [calls()]
for part in (torch_ans, compressai, files):
    try:
        notes += part() or []
    except ImportError as error:
        notes.append(f"left out: {part.__name__} ({error})")
print(f"{processor()}, {ARGUMENTS.threads} thread(s), best of {ARGUMENTS.repeats}, in turns\n")
print("| work | peer | peer's rate | parans | ratio | unit |\n|---|---|---|---|---|---|")
print("\n".join(ROWS), "\n", "; ".join(notes), sep="\n" if ROWS else "")
