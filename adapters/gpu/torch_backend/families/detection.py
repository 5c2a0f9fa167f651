"""Rules that recognise a family, and how they are put together."""

from collections.abc import Callable

from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import UNET, Shapes

Rule = Callable[[Shapes], bool]


def has(name: str) -> Rule:
    """There is a tensor of that name."""
    return lambda shapes: name in shapes


def lacks(name: str) -> Rule:
    """There is none."""
    return lambda shapes: name not in shapes


def has_size(name: str, axis: int, size: int) -> Rule:
    """There is a tensor of that name, whose `axis` is `size` long."""
    return lambda shapes: shapes.size(name, axis) == size


def takes_channels(count: int) -> Rule:
    """The UNet takes so many channels: the latent's, and what it is shown beside it."""
    return has_size(f"{UNET}input_blocks.0.0.weight", 1, count)


def both(*rules: Rule) -> Rule:
    """All of them hold."""
    return lambda shapes: all(rule(shapes) for rule in rules)


def either(*rules: Rule) -> Rule:
    """One of them holds."""
    return lambda shapes: any(rule(shapes) for rule in rules)
