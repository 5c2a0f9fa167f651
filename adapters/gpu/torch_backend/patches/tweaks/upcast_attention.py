"""Attention in float32 for networks in half precision (spec api.md 17.1, upcast_attn).

Queries, keys and values are cast to float32 after their projections, and the result is cast back
before the output projection. Weights stay as they are.
"""

from torch import Tensor, nn

from hexfusion.adapters.gpu.torch_backend.patches.tweaks.computation import current


def let_attention_widen(network: nn.Module) -> None:
    """Make every diffusers `Attention` support upcasting in `computing`. Idempotent."""
    from diffusers.models.attention_processor import Attention

    for module in network.modules():
        if not isinstance(module, Attention) or _widened in module.to_q._forward_hooks.values():
            continue
        for projection in (module.to_q, module.to_k, module.to_v):
            projection.register_forward_hook(_widened)
        module.to_out[0].register_forward_pre_hook(_narrowed)


def _wanted() -> bool:
    computation = current()
    return computation is not None and computation.tweaks.upcast_attention


def _widened(projection: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.float() if _wanted() else output


def _narrowed(projection: nn.Linear, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (args[0].to(projection.weight.dtype), *args[1:]) if _wanted() else args
