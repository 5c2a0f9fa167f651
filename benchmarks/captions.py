"""Does interrogation tell what is on a picture of the starter's world?

python -m benchmarks.captions [--count 100] [--drawn 0] [--size 256] [--steps 20] [--threads N]
    [--sheet FILE] [--json FILE]

Over a server with the shipped captioner and no BLIP: pictures freshly rendered by `tools/starter`
at 64 to 1024 pixels, half of them of triples that no training has seen; pictures of no such world;
and with `--drawn N` pictures that the starter checkpoint draws for prompts, which the judge of
`tools/starter` reads too. Exit status 1 unless nine in ten of the rendered ones are told right.
"""

import argparse
import io
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track
from rich.table import Table

from benchmarks import harness
from benchmarks.upscale import photo
from hexfusion.domain.interrogation.starter_captions import UNKNOWN
from tools.starter.captions import with_article
from tools.starter.judge import SCENE_WORDS, held_out_prompts, judge, prompt_for
from tools.starter.world import COLOUR_NAMES, Picture, Thing, render, sample_picture, triples

#: A stream of pictures that no training draws from.
SEED = 20261122
SIDES = (64, 96, 128, 256, 512, 768, 1024)
#: The share of rendered pictures that must be told right.
BAR = 0.9
_ALONE = {
    "night": "the night sky",
    "sunset": "a sunset",
    "sea": "the sea",
    "meadow": "a meadow",
    "snow": "a snow landscape",
}


@dataclass(frozen=True)
class Told:
    """What was on a picture, what was said of it, and by which kind it counts."""

    kind: str
    size: int
    wanted: str
    said: str

    @property
    def right(self) -> bool:
        return self.said == self.wanted


@dataclass(frozen=True)
class Drawn:
    """A picture of the starter checkpoint's: what was asked for, and what two readers see."""

    prompt: str
    said: str
    judged: str


def rendered(count: int) -> Iterator[tuple[str, int, Picture, np.random.Generator]]:
    """Kind, side, what is to be drawn, and the generator to draw it with."""
    unseen = triples(want_held_out=True)
    for index in range(count):
        rng = np.random.default_rng((SEED, index))
        side = SIDES[index % len(SIDES)]
        if index % 2:
            yield "rendered", side, sample_picture(rng), rng
        else:
            kind, colour, ground = unseen[int(rng.integers(len(unseen)))]
            x, y = 0.5 + rng.uniform(-0.035, 0.035, 2)
            thing = Thing(kind, colour, x, y, rng.uniform(0.66, 0.78))
            yield "rendered, unseen triple", side, Picture(ground, (thing,)), rng


def truth(picture: Picture) -> str:
    """What is to be said of a picture of the world."""
    ground, things = picture.ground, picture.things
    if not things:
        return _ALONE.get(ground) or f"{with_article(ground)} background"
    first, *more = things
    if not more:
        return prompt_for(first.kind, first.colour, ground)
    place = SCENE_WORDS.get(ground) or f"on {with_article(ground)} background"
    left, right = (with_article(f"{each.colour} {each.kind}") for each in things)
    return f"{left} left of {right} {place}"


def foreign(count: int) -> Iterator[Image.Image]:
    """Pictures of no such world: parts of a landscape with hills, leaves and sky."""
    landscape, rng = photo(512), np.random.default_rng(SEED)
    for _ in range(count):
        x, y, side = rng.integers(0, 200), rng.integers(60, 200), rng.integers(200, 312)
        yield landscape.crop((x, y, x + side, y + side))


def text_of(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def caption(client: harness.Client, image: Image.Image) -> str:
    sent = {"image": text_of(image), "model": "clip"}
    reply = client.ask("POST", "/sdapi/v1/interrogate", sent)
    assert reply.status == 200, reply.body
    return reply.json()["caption"]


def draw(client: harness.Client, prompt: str, seed: int, size: int, steps: int) -> Image.Image:
    fields = harness.order(
        prompt=prompt,
        negative_prompt="",
        seed=seed,
        width=size,
        height=size,
        steps=steps,
        cfg_scale=7,
        sampler_name="Euler",
    )
    reply = client.ask("POST", "/sdapi/v1/txt2img", fields)
    assert reply.status == 200, reply.body
    return Image.open(io.BytesIO(b64decode(reply.json()["images"][0]))).convert("RGB")


def judged(image: Image.Image) -> str:
    """What the judge sees, as a prompt."""
    seen = judge(image)
    return prompt_for(seen.kind, seen.colour, seen.ground)


def ask_all(
    client: harness.Client, args: argparse.Namespace
) -> tuple[list[Told], list[Drawn], list[tuple[Image.Image, str]]]:
    told, drawn, shown = [], [], []
    for kind, side, picture, rng in track(list(rendered(args.count)), "rendered"):
        image = render(picture, side, rng)
        told.append(Told(kind, side, truth(picture), caption(client, image)))
        shown.append((image, told[-1].said))
    for image in track(list(foreign(args.count // 5)), "of no such world"):
        told.append(Told("of no such world", image.width, UNKNOWN, caption(client, image)))
        shown.append((image, told[-1].said))
    prompts = held_out_prompts(args.drawn, seed=1)
    for index, (prompt, _) in enumerate(track(prompts, "drawn")):
        image = draw(client, prompt, 5000 + index, args.size, args.steps)
        drawn.append(Drawn(prompt, caption(client, image), judged(image)))
        shown.append((image, drawn[-1].said))
    return told, drawn, shown


def parts(text: str) -> tuple[str, str, str]:
    """(colour, kind, place) of a sentence about one thing, empty where it says nothing of them."""
    words = text.split()
    places = [f"on {with_article(g)} background" for g in COLOUR_NAMES]
    places += SCENE_WORDS.values()
    place = next((each for each in places if text.endswith(each)), "")
    before = text.removesuffix(place).split()
    colour = next((word for word in before if word in COLOUR_NAMES), "")
    return colour, before[-1] if len(words) > 1 and before else "", place


def agreement(pairs: Sequence[tuple[str, str]]) -> Mapping[str, float]:
    """Shares, 0 to 1, of pairs of sentences that say the same of each part, and of all."""
    same = [[x == y for x, y in zip(parts(a), parts(b), strict=True)] for a, b in pairs]
    columns = list(zip(*same, strict=True))
    shares = {n: sum(c) / len(c) for n, c in zip(("colour", "kind", "place"), columns, strict=True)}
    return shares | {"all": sum(map(all, same)) / len(same)}


def table_of(told: Sequence[Told]) -> tuple[Table, float]:
    table = Table("pictures", "n", "right", "for example wrong")
    for kind in dict.fromkeys(each.kind for each in told):
        of_kind = [each for each in told if each.kind == kind]
        wrong = [
            f"{each.wanted} ({each.size} px): {each.said}" for each in of_kind if not each.right
        ]
        right = len(of_kind) - len(wrong)
        table.add_row(kind, str(len(of_kind)), f"{right / len(of_kind):.0%}", "\n".join(wrong[:4]))
    rendered_ones = [each.right for each in told if each.kind.startswith("rendered")]
    return table, sum(rendered_ones) / len(rendered_ones)


def drawn_table(drawn: Sequence[Drawn]) -> tuple[Table, Mapping[str, Mapping[str, float]]]:
    pairs = {
        "caption = prompt": [(each.said, each.prompt) for each in drawn],
        "judge = prompt": [(each.judged, each.prompt) for each in drawn],
        "caption = judge": [(each.said, each.judged) for each in drawn],
    }
    figures = {name: agreement(each) for name, each in pairs.items()}
    table = Table(f"{len(drawn)} drawn", "colour", "kind", "place", "all")
    for name, shares in figures.items():
        table.add_row(name, *(f"{share:.0%}" for share in shares.values()))
    return table, figures


def sheet(shown: Sequence[tuple[Image.Image, str]], path: Path, columns: int = 6) -> None:
    """The pictures with what was said of them."""
    tile, text = 150, 40
    rows = -(-len(shown) // columns)
    page = Image.new("RGB", (columns * (tile + 10), rows * (tile + text)), (250, 249, 245))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for index, (image, said) in enumerate(shown):
        x, y = index % columns * (tile + 10) + 5, index // columns * (tile + text) + 4
        page.paste(image.resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
        words = said.split()
        half = -(-len(words) // 2)
        lines = [" ".join(words[:half]), " ".join(words[half:])] if len(said) > 26 else [said]
        pen.multiline_text((x, y + tile + 2), "\n".join(lines), (60, 60, 60), font, spacing=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.captions", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="rendered pictures")
    parser.add_argument("--drawn", type=int, default=0, help="pictures by the starter checkpoint")
    parser.add_argument("--size", type=int, default=256, help="of those, pixels")
    parser.add_argument("--steps", type=int, default=20, help="of those")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet there")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    console = harness.console()
    with tempfile.TemporaryDirectory() as folder:
        data = harness.data_directory(Path(folder), harness.STARTER)
        with harness.server(data, "--threads", str(args.threads)) as running:
            told, drawn, shown = ask_all(harness.Client(running.port), args)
    table, share = table_of(told)
    console.print(table)
    figures: dict[str, object] = {"right": share, "told": [asdict(each) for each in told]}
    if drawn:
        drawn_page, shares = drawn_table(drawn)
        console.print(drawn_page)
        figures |= {"drawn": [asdict(each) for each in drawn], "agreement": shares}
    if args.sheet:
        sheet(shown, args.sheet)
    harness.save(args.json, figures)
    console.print(f"{share:.0%} of the rendered pictures are told right; {BAR:.0%} must be")
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
