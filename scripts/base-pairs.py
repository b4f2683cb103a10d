"""Makes pairs of files that resemble each other, for scripts/bench-base.

The file `pairs` names them, one pair per line: a name, the old file, the new file, and the order-0
entropy of the differences of ordered integers per tensor as a share of the new file (- where it is
not computed).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file


def ordered(bits):
    return np.where(bits >> 15, ~bits, bits | 0x8000).astype(np.uint16)


def entropy_bits(old, new):
    """Bits that the differences of two bfloat16 tensors take by order 0."""
    old, new = (tensor.view(torch.uint16).numpy().ravel() for tensor in (old, new))
    counts = np.bincount((ordered(new) - ordered(old)).astype(np.uint16), minlength=1 << 16)
    counts = counts[counts > 0].astype(float)
    return -(counts * np.log2(counts / counts.sum())).sum()


def noise(model, folder, lines):
    weights = {name: tensor.bfloat16() for name, tensor in load_file(model).items()}
    save_file(weights, folder / "minilm.st")
    generator = torch.Generator().manual_seed(0)
    for r in (2e-4, 1e-3, 2e-3, 5e-3, 2e-2):
        moved, bits = {}, 0.0
        for name, tensor in weights.items():
            scale = r * tensor.float().abs().mean()
            random = torch.randn(tensor.shape, generator=generator)
            moved[name] = (tensor.float() + scale * random).bfloat16()
            bits += entropy_bits(tensor, moved[name])
        file = folder / f"noise-{r:g}.st"
        save_file(moved, file)
        share = bits / 8 / file.stat().st_size
        lines.append(f"minilm-bf16-noise-{r:g} minilm.st {file.name} {share:.4f}")


def train(folder, lines):
    """A model of two layers that predicts the next byte of its own source code and Python's."""
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    text = b"".join(p.read_bytes() for p in sorted(Path(torch.__file__).parent.glob("*.py")))
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8).long()
    width = 192

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(256, width)
            self.place = nn.Embedding(64, width)
            layer = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True, dropout=0.0)
            self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
            self.head = nn.Linear(width, 256)

        def forward(self, x):
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            x = self.embed(x) + self.place(torch.arange(x.shape[1]))
            return self.head(self.layers(x, mask=mask, is_causal=True))

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    names = [name for name, _ in model.named_parameters()]
    previous = None
    for step in range(1, 401):
        at = torch.randint(len(data) - 65, (8,))
        batch = torch.stack([data[i : i + 65] for i in at])
        loss = F.cross_entropy(model(batch[:, :-1]).transpose(1, 2), batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step not in (200, 210, 300, 400):
            continue
        weights = {name: tensor.detach() for name, tensor in model.named_parameters()}
        whole = dict(weights)
        for number, state in optimizer.state_dict()["state"].items():
            whole |= {f"{key}.{names[number]}": state[key] for key in ("exp_avg", "exp_avg_sq")}
        files = {
            "bf16": {name: tensor.bfloat16() for name, tensor in weights.items()},
            "f32": weights,
            "f32-adam": whole,
        }
        for kind, tensors in files.items():
            save_file({n: t.clone() for n, t in tensors.items()}, folder / f"{step}-{kind}.st")
            if previous is not None:
                old = f"{previous}-{kind}.st"
                lines.append(f"trained-{previous}-{step}-{kind} {old} {step}-{kind}.st -")
        previous = step
        print("step", step, "loss", loss.item(), file=sys.stderr)


def main():
    model, folder = sys.argv[1], Path(sys.argv[2])
    lines = []
    noise(model, folder, lines)
    train(folder, lines)
    (folder / "pairs").write_text("\n".join(lines) + "\n")


main()
