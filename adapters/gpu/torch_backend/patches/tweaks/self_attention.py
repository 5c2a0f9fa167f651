"""Self-attention that can merge tokens and work in tiles: processors for diffusers' `Attention`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import current
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.hypertile import tiled_image, tiled_tokens
from hexfusion.adapters.gpu.torch_backend.patches.tweaks.token_merging import match

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention

Processor = Callable[..., Tensor]


class UNetSelfAttention:
    """A UNet's self-attention with token merging and hypertile, around the `plain` processor.

    `depth` is the layer's depth for hypertile, None where it is never tiled.
    """

    def __init__(self, plain: Processor, depth: int | None) -> None:
        self._plain = plain
        self._depth = depth

    def __call__(
        self,
        attn: "Attention",
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """(rows, tokens, channels) to the same."""

        def attend(tokens: Tensor) -> Tensor:
            return self._plain(attn, tokens, encoder_hidden_states, attention_mask, temb)

        computation = current()
        if computation is None:
            return attend(hidden_states)
        matching, computation.matching = computation.matching, None
        tokens = matching.merge(hidden_states) if matching else hidden_states
        hypertile = computation.tweaks.hypertile_unet
        if hypertile is None or self._depth is None or self._depth > hypertile.depth:
            done = attend(tokens)
        else:
            size = computation.width, computation.height
            draws = computation.draws(hypertile)
            done = tiled_tokens(attend, tokens, hypertile, size, self._depth, draws)
        return matching.unmerge(done) if matching else done


class VaeSelfAttention:
    """The VAE decoder's self-attention with hypertile, around the `plain` processor."""

    def __init__(self, plain: Processor) -> None:
        self._plain = plain

    def __call__(
        self,
        attn: "Attention",
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """(n, channels, h, w) to the same."""

        def attend(image: Tensor) -> Tensor:
            return self._plain(attn, image, encoder_hidden_states, attention_mask, temb)

        computation = current()
        if computation is None or computation.tweaks.hypertile_vae is None:
            return attend(hidden_states)
        hypertile = computation.tweaks.hypertile_vae
        size = computation.width, computation.height
        return tiled_image(attend, hidden_states, hypertile, size, computation.draws(hypertile))


def note_grid(transformer: nn.Module, args: tuple[Tensor, ...]) -> None:
    """A pre-hook of full-resolution transformers: stores the (height, width) of their tokens."""
    computation = current()
    if computation is not None:
        height, width = args[0].shape[-2:]
        computation.grid = height, width


def match_tokens(norm: nn.Module, args: tuple[Tensor, ...]) -> None:
    """A pre-hook of the norm before self-attention: chooses the tokens to merge."""
    computation = current()
    if computation is not None and computation.tweaks.token_merging_ratio > 0:
        ratio = computation.tweaks.token_merging_ratio
        computation.matching = match(args[0], computation.grid, ratio)
