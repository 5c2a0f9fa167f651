"""A contact sheet: what the model draws, unselected, with its prompts."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SHEET = Path("docs/images/starter-sheet.png")
PROMPTS = (
    "a red circle on a blue background",
    "a yellow star in the night sky",
    "a pink heart on a white background",
    "an orange cat on a blue background",
    "a red house in a meadow",
    "a green tree on a yellow background",
    "an orange fish in the sea",
    "a yellow face on a purple background",
    "a white flower on a green background",
    "a black cat at sunset",
    "a purple ring on an orange background",
    "a brown house in the snow",
    "a green triangle on a black background",
    "a blue square on a pink background",
    "a gray fish on a red background",
    "a red heart left of a yellow star on a white background",
)
TILE, GAP, TEXT, COLUMNS = 192, 10, 34, 4


def _wrapped(text: str, width: int = 30) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def contact_sheet(images, prompts, heading: str) -> Image.Image:
    """Tiles in rows of four with their prompts below."""
    rows = -(-len(images) // COLUMNS)
    wide, high = TILE + GAP, TILE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * wide + GAP, rows * high + GAP + 24), (250, 249, 245))
    draw = ImageDraw.Draw(sheet)
    font, title = ImageFont.load_default(11), ImageFont.load_default(14)
    draw.text((GAP, 8), heading, (60, 60, 60), font=title)
    for k, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        x, y = GAP + k % COLUMNS * wide, 24 + GAP + k // COLUMNS * high
        sheet.paste(image.resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
        draw.multiline_text((x, y + TILE + 3), _wrapped(prompt), (60, 60, 60), font, spacing=1)
    return sheet


def make_sheet(draw, size: int, seed: int = 1, path: Path = SHEET) -> Path:
    """Draw all `PROMPTS` with seeds `seed`, `seed` + 1, ... and save the sheet."""
    seeds = range(seed, seed + len(PROMPTS))
    images = draw(list(PROMPTS), size, seeds)
    span = f"seeds {seeds[0]} to {seeds[-1]}, unselected"
    heading = f"Hexfusion starter checkpoint, {size} x {size}, {span}"
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(images, PROMPTS, heading).save(path)
    return path
