"""A program of a user's, who has a type checker: it runs, and nothing in it is Any by accident.

`test_types.py` has mypy check it strictly, and runs it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, reveal_type

from PIL import Image

import hexfusion
from hexfusion import ExtrasRequest, Generated, Img2Img, Picture, PictureLists, Studio, Txt2Img


def words_and_sketch(studio: Studio, folder: Path) -> list[Picture]:
    made: Generated = studio.txt2img(
        Txt2Img(prompt="a cat", steps=2, width=64, height=64, n_iter=2),
        lists=PictureLists(prompts=("a cat", "a dog")),
    )
    sketch = Image.new("RGB", (64, 64), "red")
    request = Img2Img(prompt="a cat", steps=2, width=64, height=64)
    for given in (sketch, [made.pictures[0]], made.pictures[0]):
        studio.img2img(request, given, mask=Image.new("L", (64, 64), 255))
    large = studio.extras(ExtrasRequest(upscaler_1="Nearest"), made.pictures[0]).pictures[0]
    large.save(folder / "large.webp", quality=90)
    return [*made.pictures, large]


def tell(studio: Studio, picture: Picture) -> str:
    words: str = studio.interrogate(picture, "clip")
    seed = studio.picture_info(picture).parameters["Seed"]
    share: float = studio.progress(picture=False).progress
    studio.interrupt()
    studio.skip()
    studio.set_options({"samples_format": "png"})
    titles = [checkpoint.title for checkpoint in studio.checkpoints()]
    return f"{words} {seed} {share} {titles} {studio.options()['samples_format']}"


def main(argv: list[str]) -> int:
    studio = hexfusion.build(argv, threads=1)
    try:
        pictures = words_and_sketch(studio, Path.cwd())
        print(tell(studio, pictures[0]))
    except hexfusion.HexfusionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if TYPE_CHECKING:
    STUDIO = hexfusion.build(data_dir=Path("data"), backend="fake", no_half=True)
    reveal_type(STUDIO)
    reveal_type(STUDIO.txt2img(Txt2Img()).pictures[0])
    reveal_type(STUDIO.img2img(Img2Img(), Image.new("L", (8, 8))).pictures[0].image)
    reveal_type(STUDIO.extras(ExtrasRequest(), b"").pictures)
    reveal_type(STUDIO.checkpoints()[0].title)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
