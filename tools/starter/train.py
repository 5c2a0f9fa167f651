"""Train text model and UNet; resumable, on a CPU with several workers or on one CUDA device.

The workers share the weights and update them without waiting for each other ("Hogwild", Recht et
al. 2011), which on a busy machine uses the cores far better than threads inside each operation.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
from rich.progress import Progress, TextColumn
from torch import nn

from .batches import draw_batch
from .data import load_or_build
from .optim import build_optimisers, set_rate
from .schedule import loss_weight
from .text import TextModel
from .unet import UNet

PICTURES = {128: 48000, 256: 12000, 512: 4000}
POLISH_PICTURES = {128: 8000, 256: 3000, 512: 600}
BANDS = (300, 600, 800, 1000)  # upper timesteps of the logged error bands


@dataclass
class Plan:
    """One training run; `mix` maps picture side to its share of the steps."""

    folder: Path
    minutes: float
    decay_minutes: float = 0.0
    mix: dict[int, float] = field(default_factory=lambda: {128: 1.0})
    batch: int = 48  # pictures of 128 px; larger sizes get a quarter, an eighth
    workers: int = 2
    muon_lr: float = 2e-3
    adam_lr: float = 1.5e-3
    warmup: int = 3000  # pictures
    ema: float = 0.99
    device: str = "cpu"
    save_every: float = 300.0  # seconds
    polish: bool = False  # little noise, and captions that do not fit (batches.foreign)


class Model(nn.Module):
    """Text model and UNet together."""

    def __init__(self):
        super().__init__()
        self.text, self.unet = TextModel(), UNet()

    def forward(self, x, t, rows, skip: int = 0):
        return self.unet(x, t, self.text(rows, skip))


def _batch_size(plan: Plan, side: int) -> int:
    return max(2, plan.batch // {128: 1, 256: 4, 512: 8}[side])


def _rate(plan: Plan, seen: int, elapsed: float) -> float:
    """Warm up over pictures, stay, decay linearly to zero over the last minutes."""
    left = plan.minutes * 60 - elapsed
    decay = min(1.0, max(0.0, left) / (plan.decay_minutes * 60)) if plan.decay_minutes else 1.0
    return round(decay * min(1.0, (seen + 200) / plan.warmup), 4)


def _band_errors(error_x0: torch.Tensor, t: torch.Tensor) -> list[float | None]:
    out, low = [], 0
    for high in BANDS:
        inside = (t >= low) & (t < high)
        out.append(round(error_x0[inside].mean().item(), 4) if inside.any() else None)
        low = high
    return out


class Worker:
    """One process's half of the training: own batches and momenta, shared weights.

    The worker of rank 0 also keeps the moving average of the weights and saves the state.
    """

    def __init__(self, rank: int, plan: Plan, model: Model, stores, seen):
        self.rank, self.plan, self.model, self.stores, self.seen = rank, plan, model, stores, seen
        self.rng = np.random.default_rng()
        self.generator = torch.Generator().manual_seed(int(self.rng.integers(2**40)))
        self.optimisers = build_optimisers(model, plan.muon_lr, plan.adam_lr)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        state = load_state(plan.folder, plan.device)
        if state:
            self.average = state["ema"]
            for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
                restore(optimiser, saved)

    def step(self, factor: float) -> list:
        """One batch at `factor` times the peak rates; returns the log entry."""
        plan, sides = self.plan, list(self.plan.mix)
        shares = np.array([plan.mix[s] for s in sides])
        side = sides[self.rng.choice(len(sides), p=shares / shares.sum())]
        count = _batch_size(plan, side)
        batch = draw_batch(self.stores[side], count, self.rng, self.generator, plan.polish)
        x, t, rows, target, snr = (v.to(plan.device) for v in vars(batch).values())
        skip = int(self.rng.random() < 0.1)
        error = (self.model(x, t, rows, skip) - target).square().mean((1, 2, 3))
        loss = (error * loss_weight(snr)).mean()
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        norms = [p.grad.norm() for p in self.model.parameters() if p.grad is not None]
        if torch.isfinite(loss) and torch.isfinite(torch.stack(norms)).all():
            set_rate(self.optimisers, factor)
            for optimiser in self.optimisers:
                optimiser.step()
        with self.seen.get_lock():
            self.seen.value += len(t)
        bands = _band_errors((error / snr).detach(), t)
        return [round(time.time()), self.seen.value, side, round(loss.item(), 4), bands, factor]

    def follow(self) -> None:
        """Move the average towards the weights."""
        now = self.model.state_dict()
        names = list(now)
        olds, news = [self.average[k] for k in names], [now[k] for k in names]
        torch._foreach_lerp_(olds, news, 1 - self.plan.ema)

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "ema": self.average,
            "optimisers": [o.state_dict() for o in self.optimisers],
            "seen": self.seen.value,
        }
        part = self.plan.folder / "state.pt.part"
        torch.save(state, part)
        part.replace(self.plan.folder / "state.pt")

    def run(self) -> None:
        plan, started = self.plan, time.time()
        saved = started
        with open(plan.folder / f"log-{self.rank}.jsonl", "a", buffering=1) as log:
            while (elapsed := time.time() - started) < plan.minutes * 60:
                entry = self.step(_rate(plan, self.seen.value, elapsed))
                log.write(json.dumps(entry) + "\n")
                if self.rank == 0:
                    self.follow()
                if self.rank == 0 and time.time() - saved > plan.save_every:
                    self.save()
                    saved = time.time()
        if self.rank == 0:
            self.save()


def load_state(folder: Path, device: str) -> dict | None:
    """The saved training state, or None at the first start."""
    path = folder / "state.pt"
    return torch.load(path, map_location=device, weights_only=True) if path.exists() else None


def restore(optimiser, saved: dict) -> None:
    """Load momenta but keep this run's peak rates."""
    peaks = [group["peak"] for group in optimiser.param_groups]
    optimiser.load_state_dict(saved)
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["peak"] = peak


def _run_worker(*args) -> None:
    torch.set_flush_denormal(True)
    if args[1].workers > 1:
        torch.set_num_threads(1)
    Worker(*args).run()


@contextmanager
def _shown(plan: Plan, seen) -> Iterator[None]:
    """While the block runs, the terminal shows the time spent and the pictures seen."""
    over, started = threading.Event(), time.time()
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[seen]:,} pictures"))

    def show() -> None:
        with Progress(*columns) as progress:
            task = progress.add_task("training", total=plan.minutes * 60, seen=seen.value)
            while not over.wait(1.0):
                progress.update(task, completed=time.time() - started, seen=seen.value)

    watcher = threading.Thread(target=show, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def train(plan: Plan) -> None:
    """Train for `plan.minutes`, continuing from `plan.folder/state.pt` if it is there."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    counts = POLISH_PICTURES if plan.polish else PICTURES
    stores = {s: load_or_build(plan.folder / "data", s, counts[s]) for s in plan.mix}
    model = Model().to(plan.device)
    state = load_state(plan.folder, plan.device)
    if state:
        model.load_state_dict(state["model"])
    seen = mp.Value("q", state["seen"] if state else 0)
    if plan.workers == 1 or plan.device != "cpu":
        with _shown(plan, seen):
            _run_worker(0, plan, model, stores, seen)
        return
    model.share_memory()
    crew = [
        mp.Process(target=_run_worker, args=(rank, plan, model, stores, seen))
        for rank in range(plan.workers)
    ]
    for process in crew:
        process.start()
    with _shown(plan, seen):
        for process in crew:
            process.join()
