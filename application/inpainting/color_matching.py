"""Colour correction: matches a picture's colours to another's (option img2img_color_correction).

Source: spec images.md 7.3.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from PIL import Image, ImageMath

from hexfusion.application.inpainting.lab_color import from_lab, to_lab

ColourHistograms = Sequence[Sequence[int]]
"""Histograms of L*, a* and b*: three sequences of 256 counts."""

Operands = Mapping[str, Any]
"""Operands of an `ImageMath` formula: pictures by name, and functions."""

LIGHT = (0.299, 0.587, 0.114)
LEVELS = 255
NUDGE = 0.001
"""Added before truncation, since single-precision results may be just below whole numbers."""


def colour_histograms(image: Image.Image) -> ColourHistograms:
    """The L*a*b* histograms of an RGB picture."""
    return [band.histogram() for band in to_lab(image).split()]


def match_colours(image: Image.Image, colours: ColourHistograms) -> Image.Image:
    """The picture (RGB) with its L*a*b* histograms matched to `colours`, and its own luminosity."""
    lab = to_lab(image)
    bands = [
        band.point(matching_table(band.histogram(), wanted))
        for band, wanted in zip(lab.split(), colours, strict=True)
    ]
    return with_light_of(from_lab(Image.merge("RGB", bands)), image)


def matching_table(have: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Histogram matching: for each value 0 to 255 the value at the same quantile of `wanted`.

    Values between two of those in `wanted` are interpolated linearly, and truncated.
    """
    values = [value for value, count in enumerate(wanted) if count]
    heights = _heights([wanted[value] for value in values])
    return [int(_interpolated(height, heights, values)) for height in _heights(have)]


def _heights(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in accumulate(counts)]


def _interpolated(x: float, xs: Sequence[float], ys: Sequence[int]) -> float:
    """Linear interpolation between points with ascending `xs`; constant beyond them."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, x)
    left = right - 1
    return (ys[right] - ys[left]) / (xs[right] - xs[left]) * (x - xs[left]) + ys[left]


def with_light_of(coloured: Image.Image, light: Image.Image) -> Image.Image:
    """Blend mode "luminosity": hue and saturation of `coloured`, luminosity of `light`; all RGB.

    Colours out of range are moved towards the grey of the same luminosity.
    """
    channels = _units(coloured)
    lift = _evaluated(lambda it: it["a"] - it["b"], a=_light(_units(light)), b=_light(channels))
    lifted = [_evaluated(lambda it: it["a"] + it["b"], a=each, b=lift) for each in channels]
    red, green, blue = lifted
    grey = _light(lifted)
    low = _evaluated(_lowest, r=red, g=green, b=blue)
    high = _evaluated(_highest, r=red, g=green, b=blue)
    clipped = [_evaluated(_brought_back, c=each, grey=grey, low=low, high=high) for each in lifted]
    return Image.merge("RGB", [each.convert("L") for each in clipped])


def _units(image: Image.Image) -> list[Image.Image]:
    """The channels as float pictures ("F"), 0 to 1."""
    return [_evaluated(lambda it: it["float"](it["a"]) / LEVELS, a=band) for band in image.split()]


def _light(channels: Sequence[Image.Image]) -> Image.Image:
    red, green, blue = channels
    weigh_red, weigh_green, weigh_blue = LIGHT
    return _evaluated(
        lambda it: it["r"] * weigh_red + it["g"] * weigh_green + it["b"] * weigh_blue,
        r=red,
        g=green,
        b=blue,
    )


def _lowest(it: Operands) -> Any:
    return it["min"](it["min"](it["min"](it["r"], it["g"]), it["b"]), 0.0)


def _highest(it: Operands) -> Any:
    return it["max"](it["max"](it["max"](it["r"], it["g"]), it["b"]), 1.0)


def _brought_back(it: Operands) -> Any:
    """A channel moved into range, as a truncated byte; unchanged where all channels are in
    range."""
    grey, low, high = it["grey"], it["low"], it["high"]
    channel = grey + (it["c"] - grey) * (grey / (grey - low))
    channel = grey + (channel - grey) * ((1.0 - grey) / (high - grey))
    within = it["min"](it["max"](channel, 0.0), 1.0)
    return it["int"](within * float(LEVELS) + NUDGE)


def _evaluated(formula: Callable[[Operands], Any], **pictures: Image.Image) -> Image.Image:
    return ImageMath.lambda_eval(formula, **pictures)
