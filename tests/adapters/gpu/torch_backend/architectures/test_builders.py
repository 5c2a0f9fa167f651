"""Networks built around a file's tensors. The recorded pictures in test_loading prove the sum."""

from dataclasses import replace

import pytest
import torch

from hexfusion.adapters.gpu.torch_backend.architectures.builders import (
    UpsampleThenFit,
    build_text,
    build_unet,
    build_vae,
    predict,
)
from hexfusion.adapters.gpu.torch_backend.architectures.conversion import original_name
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.open_clip import locate_open_clip
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.unet import unet_modules
from hexfusion.adapters.gpu.torch_backend.architectures.conversion.vae import vae_modules
from hexfusion.adapters.gpu.torch_backend.architectures.dimensions import Shapes, VaeArchitecture
from hexfusion.adapters.gpu.torch_backend.architectures.original_config import OriginalConfig
from hexfusion.adapters.gpu.torch_backend.conditioning.depth import build_depth
from hexfusion.adapters.gpu.torch_backend.conditioning.unclip import build_image_embedder
from hexfusion.adapters.gpu.torch_backend.families.architecture import infer_architecture
from hexfusion.adapters.gpu.torch_backend.files.weights import Weights
from hexfusion.domain.errors import CheckpointError
from tests.adapters.gpu.torch_backend.layouts import (
    REFINER,
    SD2,
    SD15,
    SDXL,
    SMALL,
    SMALL_SDXL,
    SSD_1B,
    open_clip_layout,
    random_tensors,
    refiner_layout,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
    unet_layout,
    vae_layout,
)
from tests.adapters.gpu.torch_backend.layouts_vision import (
    depth_layout,
    unclip_h_layout,
    unclip_l_layout,
)

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
META = torch.device("meta")


def architecture_of(layout):
    return infer_architecture(Shapes("m.safetensors", layout), OriginalConfig())


@pytest.mark.parametrize(
    "layout",
    [
        sd1_layout(**SD15),
        sd1_layout(**SD15, in_channels=9),
        sd1_layout(**SD15, in_channels=8),
        sd1_layout(**SMALL, linear_projection=True),
        sd1_layout(**{**SMALL, "depths": (1, 0, 0)}),
        sd1_layout(**{**SMALL, "channels": (32, 64), "res_blocks": (1, 3), "depths": (0, 2)}),
        sd2_layout(**SD2),
        sd2_layout(**{**SD2, "unet": {**SD2["unet"], "in_channels": 9}}),
        sdxl_layout(**SDXL),
        sdxl_layout(**{**SDXL, "unet": {**SDXL["unet"], "in_channels": 9}}),
        sdxl_layout(**SSD_1B),
        refiner_layout(**REFINER),
        unclip_h_layout(),
        unclip_l_layout(),
        depth_layout(),
    ],
    ids=[
        *("SD1.5", "inpainting", "editing", "linear", "shallow", "uneven", "SD2"),
        *("SD2 inpainting", "SDXL", "SDXL inpainting", "SSD-1B", "refiner"),
        *("unCLIP-H", "unCLIP-L", "depth"),
    ],
)
def test_every_tensor_of_a_layout_finds_its_place(layout, caplog):
    """All names and shapes agree both ways, at full size, without allocating a weight."""
    tensors = {name: torch.empty(shape, device=META) for name, shape in layout.items()}
    weights, found = Weights("m.safetensors", tensors), architecture_of(layout)
    unet = build_unet(found.unet, weights, META, torch.float16)
    build_vae(found.vae, weights, META, torch.float16)
    for text in found.texts:
        build_text(text, weights, META, torch.float16)
    if found.vision:
        build_image_embedder(found.vision, weights, META, torch.float16, statistics=False)
    if found.depth:
        build_depth(found.depth, weights, META)
    x = torch.empty((2, found.unet.in_channels, 13, 8), device=META)
    context = torch.empty((2, 77, found.unet.context_width), device=META)
    width = found.unet.vector_width
    vector = None if width is None else torch.empty((2, width), device=META)
    out = predict(unet, x, torch.empty(2, device=META), context, vector)
    assert out.shape == (2, 4, 13, 8)
    assert not caplog.records  # a tensor without a place would be warned of


def test_unet_names_agree_with_diffusers_converter():
    """A second opinion on which layer is which, for the released structure."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    layout = unet_layout(**{k: SD15[k] for k in ("channels", "res_blocks", "depths", "context")})
    file = {f"model.diffusion_model.{name}": name for name in layout}
    theirs = convert_ldm_unet_checkpoint(file, {"layers_per_block": 2})
    modules = unet_modules(architecture_of(sd1_layout(**SD15)).unet)
    assert set(theirs.values()) == set(layout)
    for parameter, original in theirs.items():
        assert original_name(modules, parameter) == f"model.diffusion_model.{original}"


def test_open_clip_names_agree_with_diffusers_converter():
    """And the pieces of query, key and value, and the turned projection."""
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    width = 128
    sizes = {**SMALL_SDXL["open_clip"], "projection": width}  # diffusers takes it to be square
    prefix = "conditioner.embedders.1.model."
    layout = {prefix + name: shape for name, shape in open_clip_layout(**sizes).items()}
    tensors = random_tensors(layout)
    theirs = convert_open_clip_checkpoint(None, tensors, prefix)
    locate = locate_open_clip(prefix)
    assert len(theirs) == len(layout) - 1 + 4 * sizes["layers"]  # no logit scale; thirds
    for parameter, tensor in theirs.items():
        origin = locate(parameter)
        assert origin.stored_shape(tensor.shape) == layout[origin.name]
        assert torch.equal(origin.take(tensors[origin.name]), tensor)


def test_vae_names_agree_with_diffusers_converter():
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    layout = vae_layout(SD15["vae_channels"], SD15["vae_blocks"])
    marks = {
        f"first_stage_model.{name}": torch.full((1,) * len(shape), index, dtype=torch.int64)
        for index, (name, shape) in enumerate(layout.items())
    }
    theirs = convert_ldm_vae_checkpoint(
        marks, {"down_block_types": (0,) * 4, "up_block_types": (0,) * 4}
    )
    modules = vae_modules(VaeArchitecture(SD15["vae_channels"], SD15["vae_blocks"], 4))
    assert {int(mark) for mark in theirs.values()} == set(range(len(layout)))
    for parameter, mark in theirs.items():
        assert int(marks[original_name(modules, parameter)]) == int(mark)


@pytest.fixture(scope="module")
def small():
    layout = sd1_layout(**SMALL)
    return architecture_of(layout), random_tensors(layout)


@pytest.fixture(scope="module")
def unet(small):
    return build_unet(small[0].unet, Weights("m.safetensors", small[1]), CPU, torch.float32)


def inputs(rows=2, height=8, width=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((rows, 4, height, width), generator=generator)
    context = torch.randn((rows, 77, SMALL["context"]), generator=generator)
    return x, torch.linspace(3.25, 801.5, rows), context


@torch.inference_mode()
def test_rows_are_predicted_each_by_itself(unet):
    x, t, context = inputs(rows=3)
    together = predict(unet, x, t, context)
    assert together.shape == x.shape
    for row in range(3):
        alone = predict(unet, x[row : row + 1], t[row : row + 1], context[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-5)


@torch.inference_mode()
def test_times_are_not_rounded(unet):
    """Spec sampling.md 9."""
    x, _, context = inputs(rows=2)
    x, context = x[:1].expand(2, -1, -1, -1), context[:1].expand(2, -1, -1)
    out = predict(unet, x, torch.tensor([500.0, 500.4]), context)
    assert not torch.equal(out[0], out[1])


@torch.inference_mode()
@pytest.mark.parametrize(("height", "width"), [(5, 7), (6, 8), (1, 1), (13, 4)])
def test_sides_of_any_length(unet, height, width):
    x, t, context = inputs(height=height, width=width)
    assert predict(unet, x, t, context).shape == x.shape


@torch.inference_mode()
def test_upsampling_fits_after_the_convolution():
    """Spec sampling.md 9; a recorded picture of such a size is in test_loading."""
    conv = torch.nn.Conv2d(4, 4, 3, padding=1)
    x = torch.randn(1, 4, 3, 2)
    doubled = conv(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    assert torch.allclose(UpsampleThenFit(conv)(x), doubled, atol=1e-6)
    assert torch.allclose(UpsampleThenFit(conv)(x, (6, 4)), doubled, atol=1e-6)
    fitted = UpsampleThenFit(conv)(x, (5, 3))
    rows, columns = [0, 1, 2, 3, 4], [0, 1, 2]
    rows = [int(i * 6 / 5) for i in rows]
    columns = [int(i * 4 / 3) for i in columns]
    assert torch.allclose(fitted, doubled[:, :, rows][:, :, :, columns], atol=1e-6)


@torch.inference_mode()
def test_the_vector_joins_the_time_embedding():
    """Spec sampling.md 8: the same as a network without one whose last time layer's bias has the
    vector's two layers, worked out here, added.
    """
    tensors = random_tensors(sdxl_layout(**SMALL_SDXL))
    found = architecture_of(sdxl_layout(**SMALL_SDXL)).unet
    unet = build_unet(found, Weights("m", tensors), CPU, torch.float32)
    generator = torch.Generator().manual_seed(1)
    vector = torch.randn((1, SMALL_SDXL["unet"]["vector"]), generator=generator)
    x = torch.randn((1, 4, 8, 8), generator=generator)
    context = torch.randn((1, 77, SMALL_SDXL["unet"]["context"]), generator=generator)
    label = "model.diffusion_model.label_emb.0"
    first = vector @ tensors[f"{label}.0.weight"].T + tensors[f"{label}.0.bias"]
    joined = (first * first.sigmoid()) @ tensors[f"{label}.2.weight"].T + tensors[f"{label}.2.bias"]
    bias = "model.diffusion_model.time_embed.2.bias"
    plain = build_unet(
        replace(found, vector_width=None),
        Weights("m", {**tensors, bias: tensors[bias] + joined[0]}),
        CPU,
        torch.float32,
    )
    t = torch.tensor([500.0])
    out = predict(unet, x, t, context, vector)
    assert torch.allclose(out, predict(plain, x, t, context), atol=1e-5)
    assert not torch.allclose(out, predict(unet, x, t, context, vector * 2), atol=1e-3)


def test_it_is_ready_to_predict(unet):
    """Evaluation mode, no gradients, nothing left on the meta device."""
    assert not unet.training
    for tensor in (*unet.parameters(), *unet.buffers()):
        assert not tensor.requires_grad
        assert tensor.device == CPU


def test_the_text_model_has_its_positions(small):
    (architecture,) = small[0].texts
    text, projection = build_text(architecture, Weights("m", small[1]), CPU, torch.float32)
    assert projection is None
    buffers = dict(text.named_buffers())
    assert torch.equal(buffers["embeddings.position_ids"], torch.arange(77)[None])


def test_dtype(small):
    weights = Weights("m.safetensors", small[1])
    unet = build_unet(small[0].unet, weights, CPU, torch.bfloat16)
    assert {parameter.dtype for parameter in unet.parameters()} == {torch.bfloat16}
    with torch.inference_mode():
        assert predict(unet, *inputs()).dtype == torch.float32


def test_the_file_is_copied_from_not_kept(small):
    """A file overwritten on disk must not reach a running model through its mapping."""
    tensors = {name: tensor.clone() for name, tensor in small[1].items()}
    unet = build_unet(small[0].unet, Weights("m", tensors), CPU, torch.float32)
    before = unet.time_embedding.linear_1.bias.clone()
    tensors["model.diffusion_model.time_embed.0.bias"].zero_()
    assert torch.equal(unet.time_embedding.linear_1.bias, before)


@pytest.mark.parametrize(
    ("build", "part", "name"),
    [
        (build_unet, "unet", "model.diffusion_model.output_blocks.1.0.skip_connection.weight"),
        (
            build_unet,
            "unet",
            "model.diffusion_model.middle_block.1.transformer_blocks.0.norm3.bias",
        ),
        (build_vae, "vae", "first_stage_model.decoder.mid.attn_1.q.weight"),
        (build_vae, "vae", "first_stage_model.post_quant_conv.bias"),
        (
            build_text,
            "texts",
            "cond_stage_model.transformer.text_model.encoder.layers.1.self_attn.k_proj.weight",
        ),
    ],
)
def test_a_missing_or_misshapen_tensor_is_named_as_in_the_file(small, build, part, name):
    architecture = getattr(small[0], part)
    if part == "texts":
        (architecture,) = architecture
    without = {key: tensor for key, tensor in small[1].items() if key != name}
    with pytest.raises(CheckpointError, match="is missing") as refused:
        build(architecture, Weights("m.safetensors", without), CPU, torch.float32)
    assert (refused.value.file, refused.value.tensor) == ("m.safetensors", name)
    with pytest.raises(CheckpointError, match=r"has shape \[7\], expected \[") as refused:
        wrong = {**small[1], name: torch.zeros(7)}
        build(architecture, Weights("m.safetensors", wrong), CPU, torch.float32)
    assert (refused.value.file, refused.value.tensor) == ("m.safetensors", name)


def test_a_tensor_without_a_place_is_warned_of(small, caplog):
    name = "model.diffusion_model.somewhere.weight"
    weights = Weights("m.safetensors", {**small[1], name: torch.zeros(3)})
    build_unet(small[0].unet, weights, CPU, torch.float32)
    assert name in caplog.text
