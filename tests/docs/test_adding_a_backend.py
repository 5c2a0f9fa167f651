"""docs/adding-a-backend.md, done: its diff makes a package, whose backend is taken by its name."""

import shutil
import tomllib

USE = """
import hexfusion

studio = hexfusion.build(data_dir="data", backend="squares")
texts = [made(seed=seed) for seed in (1, 2)]
picture = studio.txt2img(hexfusion.Txt2Img(seed=1, steps=2, width=64, height=64)).pictures[0]
print(json.dumps({
    "pictures": [reply["images"][0] for reply in texts],
    "colours": len(picture.image.getcolors()),
}))
"""


def test_its_diff_makes_a_backend(page) -> None:
    backend = page("adding-a-backend")
    site = backend.folder.parent
    # As pip would install it: the module, and what its pyproject.toml declares.
    written = backend.folder / "squares"
    declared = tomllib.loads((written / "pyproject.toml").read_text("utf-8"))["project"]
    info = site / "squares-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: squares\nVersion: 1.0\n")
    ((group, entries),) = declared["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
    shutil.move(written / "squares.py", site)

    made = backend.use(USE, "--backend", "squares")
    first, second = made["pictures"]
    assert first != second
    assert made["colours"] == 1


def test_it_costs_what_it_says(page) -> None:
    backend = page("adding-a-backend")
    assert (len(backend.files), backend.lines) == (2, 28)
