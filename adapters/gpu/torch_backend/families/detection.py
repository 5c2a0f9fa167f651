"""Rules over tensor names and shapes that recognise a family, and combinations of rules."""

from collections.abc import Callable

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET, Shapes

Rule = Callable[[Shapes], bool]


def has(name: str) -> Rule:
    """True if there is a tensor of that name."""
    return lambda shapes: name in shapes


def lacks(name: str) -> Rule:
    """True if there is no tensor of that name."""
    return lambda shapes: name not in shapes


def has_size(name: str, axis: int, size: int) -> Rule:
    """True if there is a tensor of that name, and its `axis` has `size` elements."""
    return lambda shapes: shapes.size(name, axis) == size


def takes_channels(count: int) -> Rule:
    """True if the UNet has `count` input channels: the latent's and any image channels."""
    return has_size(f"{UNET}input_blocks.0.0.weight", 1, count)


def all_of(*rules: Rule) -> Rule:
    """True if all of the rules are."""
    return lambda shapes: all(rule(shapes) for rule in rules)


def any_of(*rules: Rule) -> Rule:
    """True if one of the rules is."""
    return lambda shapes: any(rule(shapes) for rule in rules)
