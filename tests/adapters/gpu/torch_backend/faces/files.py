"""A folder of models with narrow networks in it, and pictures whose faces they find."""

from pathlib import Path

import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from hexfusion.adapters.gpu.torch_backend.faces.alignment import TEMPLATE
from tests.adapters.gpu.torch_backend.faces import layouts
from tests.contracts.upscaler import photo

#: How large a face is that the detector finds: a straightened one's share.
SHARE = 0.4


def seeing_white_dots(layout: layouts.Layout = layouts.NARROW_RETINAFACE) -> dict[str, Tensor]:
    """A RetinaFace to which every 32nd pixel of a row and column that is white is a face around it.

    The brightness there goes through all of the network to the larger anchors of the coarsest
    scale; nothing else is told.
    """
    state = {name: torch.zeros(shape) for name, shape in layout.items()}
    for name in state:
        if name.endswith("running_var"):
            state[name] += 1 - 1e-5
        elif ".bn" in name or ".downsample.1" in name or name.endswith(".1.weight"):
            state[name] += 1.0 if name.endswith("weight") else 0.0
    state["body.conv1.weight"][0, :, 3, 3] = 1 / 3
    for stage in range(1, 5):
        state[f"body.layer{stage}.0.downsample.0.weight"][0, 0] = 1.0
    state["fpn.output3.0.weight"][0, 0] = 1.0
    state["ssh3.conv3X3.0.weight"][0, 0, 1, 1] = 1.0
    for scale in range(3):
        state[f"ClassHead.{scale}.conv1x1.bias"][1::2] = -100.0
    state["ClassHead.2.conv1x1.weight"][1, 0] = 1.0
    state["ClassHead.2.conv1x1.bias"][1] = -100.0
    points = [(each - complex(256, 256)) * SHARE / (0.1 * 256) for each in TEMPLATE]
    offsets = torch.tensor([[each.real, each.imag] for each in points]).flatten()
    state["LandmarkHead.2.conv1x1.bias"][:10] = offsets
    return state


def seeing_skin_only(layout: layouts.Layout = layouts.NARROW_PARSENET) -> dict[str, Tensor]:
    """A ParseNet to which all is skin."""
    state = layouts.drawn(layout, 1)
    state["out_mask_conv.conv2d.bias"][1] = 1000.0
    return state


def write_models(folder: Path, *, narrow: bool = True) -> None:
    """The four files as their authors publish them: a `.pth` each, with what they wrap it in."""
    gfpgan, codeformer = folder / "GFPGAN", folder / "Codeformer"
    for each in (gfpgan, codeformer):
        each.mkdir(parents=True, exist_ok=True)
    layout = layouts.NARROW_RETINAFACE if narrow else layouts.retinaface()
    detector = {f"module.{name}": each for name, each in seeing_white_dots(layout).items()}
    torch.save(detector, gfpgan / "detection_Resnet50_Final.pth")
    layout = layouts.NARROW_PARSENET if narrow else layouts.parsenet()
    torch.save(seeing_skin_only(layout), gfpgan / "parsing_parsenet.pth")
    restorer = layouts.drawn(layouts.NARROW_GFPGAN if narrow else layouts.gfpgan(), 2)
    torch.save({"params_ema": restorer}, gfpgan / "GFPGANv1.4.pth")
    former = layouts.drawn(layouts.codeformer(narrow=narrow), 3)
    torch.save({"params_ema": former}, codeformer / "codeformer-v0.1.0.pth")


def dim(width: int = 128, height: int = 128) -> Image.Image:
    """A picture nowhere white."""
    return ImageEnhance.Brightness(photo(width, height)).enhance(0.6)


def portrait() -> Image.Image:
    """128 x 128 with a white dot: at 640 pixels, it holds the place (320, 320)."""
    picture = dim()
    picture.paste("white", (62, 62, 66, 66))
    return picture


#: Where the face of `portrait` lies: around the anchor, whose middle is 16 of 640 pixels further.
CENTRE = complex(320 + 16, 320 + 16) / 5
HALF = 256 * SHARE / 5
BOX = (
    int(CENTRE.real - HALF), int(CENTRE.imag - HALF),
    int(CENTRE.real + HALF) + 1, int(CENTRE.imag + HALF) + 1,
)  # fmt: skip
