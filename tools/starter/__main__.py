"""Command line: `python -m tools.starter COMMAND`, one of

all, train, polish, decoder, export, rebuild, preview, captioner, judge, sheet.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

RUN = Path("runs/starter")


def _mix(text: str) -> dict[int, float]:
    """`128:0.7,256:0.3` -> {128: 0.7, 256: 0.3}."""
    return {int(a): float(b) for a, b in (part.split(":") for part in text.split(","))}


def _train(args) -> None:
    from .train import Plan, train

    train(
        Plan(
            args.folder, args.minutes, args.decay, args.mix, args.batch, args.workers,
            device=args.device,
        )
    )  # fmt: skip


def _polish(args) -> None:
    from .train import Plan, train

    minutes, mix = args.polish_minutes, {128: 0.4, 256: 0.5, 512: 0.1}
    train(
        Plan(
            args.folder, minutes, 0.8 * minutes, mix, args.batch, args.workers,
            muon_lr=1e-3, adam_lr=7e-4, ema=0.97, device=args.device, polish=True,
        )
    )  # fmt: skip


def _decoder(args) -> None:
    from .train_decoder import train_decoder

    train_decoder(
        args.folder, args.decoder_minutes, args.decoder_minutes / 3, True, device=args.device
    )


def _export(args) -> None:
    from .export import export

    path = export(args.folder, args.file)
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _rebuild(args) -> None:
    from .rebuild import rebuild

    rebuild(args.file, args.folder)
    Console().print(f"{args.folder}: training state of {args.file}")


def _preview(args) -> None:
    from .train_preview import train_preview

    error = train_preview(args.folder, args.file, steps=args.preview_steps)
    Console().print(f"previews: mean error {error:.4f} of colours from -1 to 1")


def _captioner(args) -> None:
    import torch

    from .train_captioner import train_captioner

    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    path = train_captioner(args.captioner_minutes, args.file, args.captioner_file)
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _artist(args):
    from .drawing import Artist

    return Artist(args.file, args.device)


def _judge(args) -> None:
    from .judge import held_out_prompts, score

    artist, report = _artist(args), {}
    table = Table("pixels", "n", "ground", "colour", "object", "all three")
    for size, count in args.judge.items():
        pairs = held_out_prompts(int(count))
        images = artist.draw([p for p, _ in pairs], size, range(1000, 1000 + len(pairs)))
        report[size] = row = score(images, [wanted for _, wanted in pairs])
        shares = (f"{row[k]:.0%}" for k in ("ground", "colour", "object", "all"))
        table.add_row(str(size), str(row["n"]), *shares)
    Console().print(table)
    (args.folder / "judge.json").write_text(json.dumps(report, indent=1))


def _sheet(args) -> None:
    from .sheet import make_sheet

    Console().print(str(make_sheet(_artist(args).draw, args.size)))


def _all(args) -> None:
    for step in (_train, _polish, _decoder, _export, _preview, _captioner, _judge, _sheet):
        step(args)


COMMANDS = {
    "all": _all,
    "train": _train,
    "polish": _polish,
    "decoder": _decoder,
    "export": _export,
    "rebuild": _rebuild,
    "preview": _preview,
    "captioner": _captioner,
    "judge": _judge,
    "sheet": _sheet,
}


def main() -> None:
    from .captioner import ASSET as CAPTIONER
    from .export import ASSET

    parser = argparse.ArgumentParser(prog="python -m tools.starter", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--folder", type=Path, default=RUN, help="training state, data, logs")
    parser.add_argument("--file", type=Path, default=ASSET, help="checkpoint to write or read")
    parser.add_argument("--minutes", type=float, default=120, help="of training in this run")
    parser.add_argument("--decay", type=float, default=20, help="last minutes, falling rate")
    parser.add_argument("--mix", type=_mix, default=_mix("128:0.6,256:0.3,512:0.1"))
    parser.add_argument("--batch", type=int, default=32, help="pictures of 128 px in a step")
    parser.add_argument("--workers", type=int, default=2, help="processes (CPU only)")
    parser.add_argument("--polish-minutes", type=float, default=28)
    parser.add_argument("--decoder-minutes", type=float, default=20)
    parser.add_argument("--preview-steps", type=int, default=1500)
    parser.add_argument("--captioner-minutes", type=float, default=15, help="of one core's time")
    parser.add_argument("--captioner-file", type=Path, default=CAPTIONER, help="to write")
    parser.add_argument("--judge", type=_mix, default=_mix("128:48,256:24,512:12"))
    parser.add_argument("--size", type=int, default=256, help="of the contact sheet's pictures")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    COMMANDS[args.command](args)


if __name__ == "__main__":
    main()
