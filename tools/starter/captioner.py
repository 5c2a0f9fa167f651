"""The captioner: what is on a picture, told in six answers. The product has the same net, without
the normalisations, which `folded` works into the convolutions (Ioffe & Szegedy 2015).
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from .caption_pictures import HEADS

ASSET = Path("adapters/storage/assets/hexfusion-captioner.safetensors")
SIDE = 64  # pixels of the pictures it looks at
CHANNELS = (24, 48, 48, 48, 96, 96, 96)
HIDDEN = 192


class Captioner(nn.Module):
    """[n, 3, 64, 64] in -1..1 -> [n, answers], the answers of all heads side by side.

    A first convolution of 5 x 5, then 3 x 3: those that widen halve the sides, the others add to
    what they read. Largest and mean values of the whole, the left and the right half go on.
    """

    def __init__(self):
        super().__init__()
        widths = (3, *CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 5 if k == 0 else 3, 1 if i == o else 2, 2 if k == 0 else 1, bias=False)
            for k, (i, o) in enumerate(zip(widths, CHANNELS, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in CHANNELS)
        self.hidden = nn.Linear(6 * CHANNELS[-1], HIDDEN)
        self.heads = nn.Linear(HIDDEN, sum(map(len, HEADS)))

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            made = norm(conv(x))
            x = F.relu(x + made if made.shape == x.shape else made)
        half = x.shape[-1] // 2
        parts = [x, x[..., :half], x[..., half:]]
        pooled = [f(part) for part in parts for f in (lambda v: v.amax((2, 3)), _mean)]
        return self.heads(F.relu(self.hidden(torch.cat(pooled, 1))))


def _mean(x):
    return x.mean((2, 3))


def loss_of(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the heads that have something to say; `labels` is [n, 6]."""
    losses = [
        F.cross_entropy(part, labels[:, k], ignore_index=-1, label_smoothing=0.02, reduction="sum")
        for k, part in enumerate(answers.split([len(head) for head in HEADS], 1))
    ]
    return sum(losses) / len(labels)


def right(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """bool [n]: every head that has something to say says the right thing."""
    parts = answers.split([len(head) for head in HEADS], 1)
    said = torch.stack([part.argmax(1) for part in parts], 1)
    return ((said == labels) | (labels < 0)).all(1)


def folded(model: Captioner) -> dict[str, torch.Tensor]:
    """The tensors of the same function without normalisations, in single precision."""
    out = {}
    for k, (conv, norm) in enumerate(zip(model.convs, model.norms, strict=True)):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        out[f"convs.{k}.weight"] = conv.weight * scale[:, None, None, None]
        out[f"convs.{k}.bias"] = norm.bias - norm.running_mean * scale
    for name in ("hidden", "heads"):
        for part, tensor in getattr(model, name).state_dict().items():
            out[f"{name}.{part}"] = tensor
    return {name: tensor.detach().clone().contiguous() for name, tensor in out.items()}
