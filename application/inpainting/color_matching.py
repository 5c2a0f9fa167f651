"""Giving a picture the colours of another: option img2img_color_correction.

Source: spec images.md 7.3.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from PIL import Image, ImageMath

from hexfusion.application.inpainting.lab_color import from_lab, to_lab

ColourHistograms = Sequence[Sequence[int]]
"""How often each value from 0 to 255 comes, in L*, a* and b*."""

Operands = Mapping[str, Any]
"""What `ImageMath` calculates with: pictures by name, and functions of pictures."""

LIGHT = (0.299, 0.587, 0.114)
LEVELS = 255
NUDGE = 0.001
"""Before truncation to a level: single precision comes out just below whole numbers."""


def colour_histograms(image: Image.Image) -> ColourHistograms:
    """The colours of an RGB picture."""
    return [band.histogram() for band in to_lab(image).split()]


def match_colours(image: Image.Image, colours: ColourHistograms) -> Image.Image:
    """The picture (RGB) with each channel's histogram brought to that of `colours`, as light as it
    was."""
    lab = to_lab(image)
    bands = [
        band.point(matching_table(band.histogram(), wanted))
        for band, wanted in zip(lab.split(), colours, strict=True)
    ]
    return with_light_of(from_lab(Image.merge("RGB", bands)), image)


def matching_table(have: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """For each value, the one that is as far up in the histogram `wanted` as it is in `have`.

    Between two values that `wanted` has, they are interpolated; fractions are cut off.
    """
    values = [value for value, count in enumerate(wanted) if count]
    heights = _heights([wanted[value] for value in values])
    return [int(_interpolated(height, heights, values)) for height in _heights(have)]


def _heights(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in accumulate(counts)]


def _interpolated(x: float, xs: Sequence[float], ys: Sequence[int]) -> float:
    """On the line through the points, whose `xs` rise; flat beyond them."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, x)
    left = right - 1
    return (ys[right] - ys[left]) / (xs[right] - xs[left]) * (x - xs[left]) + ys[left]


def with_light_of(coloured: Image.Image, light: Image.Image) -> Image.Image:
    """The blend mode "luminosity": hue and saturation of one picture, light of the other; RGB.

    What leaves the range of colours is brought back towards the grey of the same light.
    """
    channels = _units(coloured)
    lift = _evaluated(lambda it: it["a"] - it["b"], a=_light(_units(light)), b=_light(channels))
    lifted = [_evaluated(lambda it: it["a"] + it["b"], a=each, b=lift) for each in channels]
    red, green, blue = lifted
    grey = _light(lifted)
    low = _evaluated(_lowest, r=red, g=green, b=blue)
    high = _evaluated(_highest, r=red, g=green, b=blue)
    found = [_evaluated(_brought_back, c=each, grey=grey, low=low, high=high) for each in lifted]
    return Image.merge("RGB", [each.convert("L") for each in found])


def _units(image: Image.Image) -> list[Image.Image]:
    """The channels as floats from 0 to 1 ("F")."""
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
    """A channel as a byte, truncated. The factors are 1 where nothing left the range."""
    grey, low, high = it["grey"], it["low"], it["high"]
    channel = grey + (it["c"] - grey) * (grey / (grey - low))
    channel = grey + (channel - grey) * ((1.0 - grey) / (high - grey))
    within = it["min"](it["max"](channel, 0.0), 1.0)
    return it["int"](within * float(LEVELS) + NUDGE)


def _evaluated(formula: Callable[[Operands], Any], **pictures: Image.Image) -> Image.Image:
    return ImageMath.lambda_eval(formula, **pictures)
