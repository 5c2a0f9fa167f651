"""LoRAs on whole checkpoints: what they change, and what they leave alone. Spec networks.md 2."""

import gc
import threading
import weakref

import pytest
import torch
from msgspec.structs import replace
from safetensors.torch import save_file

from hexfusion.adapters.gpu.torch_backend.architectures.builders import predict
from hexfusion.adapters.gpu.torch_backend.checkpoint import load_checkpoint
from hexfusion.adapters.gpu.torch_backend.extra_networks.layer_names import layers_of
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.patches.additions import adding
from hexfusion.adapters.gpu.torch_backend.patches.lora_kinds import delta, kind_of
from hexfusion.adapters.gpu.torch_backend.patches.lora_merging import Change, merged
from hexfusion.domain.errors import CheckpointError, InvalidRequest
from hexfusion.domain.plan import LoraPlan, NetworksPlan, TextPlan
from tests.adapters.gpu.torch_backend.extra_networks.files import deltas, kohya, product, write_lora
from tests.adapters.gpu.torch_backend.layouts import (
    SMALL,
    SMALL_SD2,
    SMALL_SDXL,
    SMALL_SSD_1B,
    random_tensors,
    sd1_layout,
    sd2_layout,
    sdxl_layout,
)
from tests.adapters.gpu.torch_backend.layouts_vision import SMALL_UNCLIP_H

pytestmark = pytest.mark.torch

LAYOUT = sd1_layout(**SMALL)
UNET, TEXT = "model.diffusion_model.", "cond_stage_model.transformer.text_model."
ATTENTION = f"{UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
LAYERS = [
    ATTENTION,
    f"{UNET}input_blocks.0.0.weight",
    f"{UNET}input_blocks.1.0.in_layers.2.weight",
    f"{UNET}time_embed.0.weight",
    f"{UNET}output_blocks.0.0.skip_connection.weight",
    f"{UNET}out.2.weight",
    f"{TEXT}encoder.layers.1.self_attn.v_proj.weight",
    f"{TEXT}encoder.layers.0.mlp.fc1.weight",
]


@pytest.fixture(scope="module")
def tensors():
    return random_tensors(LAYOUT)


@pytest.fixture(scope="module")
def model(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_file(tensors, path)
    return load_checkpoint(path)


def use(path, te=1.0, unet=None, **more):
    return LoraPlan(name="x", path=str(path), te=te, unet=te if unet is None else unet, **more)


def networks(*uses, **more):
    return NetworksPlan(loras=uses, **more)


@torch.inference_mode()
def outputs(model):
    """What the UNet says, and what the text encoder says to it."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(1, 4, 8, 8, generator=generator)
    context = torch.randn(1, 77, 48, generator=generator)
    empty = TextPlan(positive=(), negative=())
    text = model.text(["a cat"], empty, (64, 64), negative=False).context
    return predict(model.unet, x, torch.tensor([500.0]), context), text


def changed(model, store, wanted):
    with adding(store.additions(wanted, model)):
        return outputs(model)


def with_merged(tmp_path, tensors, found, te, unet):
    """The checkpoint as it is after the LoRA was merged into its file."""
    path = tmp_path / "merged.safetensors"
    altered = dict(tensors)
    for name, (up, down) in found.items():
        altered[name] = tensors[name] + product(up, down) * (unet if UNET in name else te)
    save_file(altered, path)
    return load_checkpoint(path)


def same(first, second):
    return all(map(torch.equal, first, second))


@pytest.mark.parametrize(("te", "unet"), [(1.0, 1.0), (0.3, -0.7), (0.0, 2.0)])
def test_it_is_as_if_the_lora_were_in_the_checkpoint(tmp_path, tensors, model, te, unet):
    found = deltas(LAYOUT, LAYERS)
    path = write_lora(tmp_path / "x.safetensors", found)
    before = outputs(model)
    made = changed(model, NetworkStore(), networks(use(path, te, unet)))
    expected = outputs(with_merged(tmp_path, tensors, found, te, unet))
    for ours, theirs in zip(made, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.equal(made[0], before[0])
    assert same(outputs(model), before)


def test_nothing_is_ever_written_to_the_networks(tmp_path, model):
    path = write_lora(tmp_path / "x.safetensors", deltas(LAYOUT, LAYERS))
    modules = [model.unet, model.text.encoders[0].model]
    before = [[each.clone() for each in module.parameters()] for module in modules]
    changed(model, NetworkStore(), networks(use(path)))
    for module, expected in zip(modules, before, strict=True):
        assert same(module.parameters(), expected)


def test_weights_that_are_not_kept_are_made_at_each_call(tmp_path, model):
    path = write_lora(tmp_path / "x.safetensors", deltas(LAYOUT, LAYERS))
    kept = changed(model, NetworkStore(spare=lambda network: 1 << 30), networks(use(path)))
    for spare in (0, 20_000):
        made = changed(model, NetworkStore(spare=lambda network: spare), networks(use(path)))  # noqa: B023
        assert same(made, kept)


def test_functional_loras_keep_no_weights(tmp_path, model):
    """Option lora_functional (spec networks.md 2.5): less memory, and the same picture."""
    path = write_lora(tmp_path / "x.safetensors", deltas(LAYOUT, LAYERS))
    store, wanted = NetworkStore(spare=lambda network: 1 << 30), networks(use(path))
    kept = store.additions(wanted, model)
    made = store.additions(replace(wanted, functional=True), model)
    assert made.key == kept.key
    assert made.merged is not None
    assert made.merged is not kept.merged
    assert not made.merged._kept
    assert len(made.merged._made) == len(LAYERS)
    for layer in layers_of(model).values():
        for one, other in zip(made.merged.of(layer), kept.merged.of(layer), strict=True):
            assert (one is other) or torch.equal(one, other)


def test_several_loras_one_after_the_other_rounded_each_time():
    """Spec networks.md 2.5; in half precision the order shows."""
    torch.manual_seed(3)
    layer = torch.nn.Linear(24, 16).half().requires_grad_(False)
    parts = [
        {"lora_up.weight": torch.randn(16, 4).half(), "lora_down.weight": torch.randn(4, 24).half()}
        for _ in range(2)
    ]
    parts.append({"diff": torch.randn(16, 24).half(), "diff_b": torch.randn(16).half()})
    parts.append({"weight": torch.randn(24).half(), "on_input": torch.tensor(True)})
    weight, bias = layer.weight, layer.bias
    for each in parts:
        added = delta(kind_of(each), each, weight, 0.7)
        weight = (weight.float() + added.weight.float()).half()
        if added.bias is not None:
            bias = (bias.float() + added.bias.float()).half()
    changes = [Change(i, kind_of(each), each, 0.7) for i, each in enumerate(parts)]
    assert same(merged(layer, changes), (weight, bias))


def test_a_layer_without_a_bias_gets_one():
    layer = torch.nn.Linear(2, 2, bias=False)
    parts = {"diff": torch.zeros(2, 2), "diff_b": torch.ones(2)}
    _, bias = merged(layer, [Change(0, kind_of(parts), parts, 0.5)])
    assert torch.equal(bias, torch.full((2,), 0.5))


def test_all_layouts_mean_the_same(tmp_path, model):
    """kohya's names by the original path and by diffusers', diffusers' own, PEFT's."""
    up, down = deltas(LAYOUT, [ATTENTION])[ATTENTION]
    dotted = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    flat = f"lora_unet_{dotted.replace('.', '_')}"
    names = {
        "original": (f"{'lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q'}.lora_", ""),
        "flat": (f"{flat}.lora_", ""),
        "diffusers": (f"unet.{dotted}.lora.", ""),
        "peft": (f"unet.{dotted}.lora_", "AB"),
    }
    made = []
    for layout, (start, letters) in names.items():
        first, second = letters or ("down", "up")
        path = tmp_path / f"{layout}.safetensors"
        save_file({f"{start}{first}.weight": down, f"{start}{second}.weight": up}, path)
        made.append(changed(model, NetworkStore(), networks(use(path))))
    plain = outputs(model)
    assert all(same(each, made[0]) for each in made)
    assert not same(made[0], plain)


def test_pt_files_go_through_the_weights_only_loader(tmp_path, model):
    found = deltas(LAYOUT, LAYERS)
    torch.save(kohya(found), tmp_path / "x.pt")
    write_lora(tmp_path / "x.safetensors", found)
    made = [
        changed(model, NetworkStore(), networks(use(tmp_path / f"x.{end}")))
        for end in ("pt", "safetensors")
    ]
    assert same(*made)


@pytest.mark.parametrize(
    "layout",
    [
        LAYOUT,
        sd2_layout(**SMALL_SD2),
        SMALL_UNCLIP_H,
        sdxl_layout(**SMALL_SDXL),
        sdxl_layout(**SMALL_SSD_1B),
    ],
    ids=["SD1", "SD2", "unCLIP", "SDXL", "SSD-1B"],
)
def test_every_layer_has_its_name(tmp_path, layout):
    """Spec networks.md 2.2: the path in the file, `_` for `.`; three for a joint projection."""
    expected = set()
    leads = ("cond_stage_model.", "conditioner.embedders.")
    for name in layout:
        module, _, part = name.rpartition(".")
        if not name.startswith((UNET, *leads)) or "embedding" in name or "project" in part:
            continue
        for lead in (*leads, "model."):
            if module.startswith(lead):
                path = module.removeprefix(lead).replace(".", "_")
                break
        if part == "in_proj_weight":
            expected |= {f"{path}_{each}_proj" for each in "qkv"}
        elif part == "weight":
            expected.add(path)
    path = tmp_path / "m.safetensors"
    save_file(random_tensors(layout), path)
    assert set(layers_of(load_checkpoint(path))) == expected


def test_open_clips_attention_takes_all_its_projections_or_none(tmp_path):
    """Spec networks.md 2.2."""
    layout = sd2_layout(**SMALL_SD2)
    save_file(random_tensors(layout), tmp_path / "m.safetensors")
    sd2 = load_checkpoint(tmp_path / "m.safetensors")
    up, down = torch.randn(128, 2), torch.randn(2, 128)
    tensors = {}
    for each in ("q_proj", "k_proj", "v_proj", "out_proj"):
        layer = f"lora_te_text_model_encoder_layers_0_self_attn_{each}"
        tensors |= {
            f"{layer}.lora_up.weight": up.clone(),
            f"{layer}.lora_down.weight": down.clone(),
        }
    save_file(tensors, tmp_path / "all.safetensors")
    partly = {key: each for key, each in tensors.items() if "v_proj" not in key}
    save_file(partly, tmp_path / "partly.safetensors")
    store = NetworkStore()
    whole = store.additions(networks(use(tmp_path / "all.safetensors")), sd2)
    layer = layers_of(sd2)["model_transformer_resblocks_0_attn_k_proj"]
    torch.testing.assert_close(whole.merged.of(layer)[0], layer.weight + up @ down)
    cut = store.additions(networks(use(tmp_path / "partly.safetensors")), sd2)
    assert cut.merged.of(layer)[0] is layer.weight
    assert "Networks with errors: x (3)" in cut.comments


def test_what_does_not_fit_is_told_and_left_alone(tmp_path, model):
    found = deltas(LAYOUT, LAYERS)
    found[ATTENTION] = (torch.randn(7, 2), torch.randn(2, 7))
    path = write_lora(tmp_path / "x.safetensors", found)
    store = NetworkStore()
    added = store.additions(networks(use(path)), model)
    assert added.comments == ("Networks with errors: x (1)",)
    layer = layers_of(model)["diffusion_model_input_blocks_4_1_transformer_blocks_0_attn1_to_q"]
    assert added.merged.of(layer)[0] is layer.weight
    with pytest.raises(InvalidRequest, match=r"x \(1\)"):
        store.additions(networks(use(path), strict=True), model)


def test_a_lora_for_another_family_is_told(tmp_path, model):
    layout = sdxl_layout(**SMALL_SDXL)
    name = f"{UNET}input_blocks.3.1.transformer_blocks.1.attn2.to_k.weight"
    assert name not in LAYOUT
    assert name in layout
    path = write_lora(tmp_path / "x.safetensors", deltas(layout, [name]))
    added = NetworkStore().additions(networks(use(path)), model)
    assert added.comments == ("Lora x has nothing for this checkpoint",)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"alpha": torch.ones(())}, "no LoRA we know"),
        ({"lora_up.weight": torch.ones(1, 1).expand(10**6, 10**6)}, "more numbers than the file"),
        ({"lora_up.weight": torch.ones(2, 2, dtype=torch.complex64)}, "plain numbers"),
        (
            {"lora_up.weight": torch.ones(2, 2).to_sparse()},
            "asks for 'torch._utils._rebuild_sparse",
        ),
        ({"lora_up.weight": torch.full((2, 2), torch.nan)}, "not finite"),
    ],
)
def test_unusable_files_are_refused_by_name(tmp_path, model, parts, message):
    path = tmp_path / "bad.pt"
    torch.save({f"lora_unet_conv_in.{part}": each for part, each in parts.items()}, path)
    with pytest.raises(CheckpointError, match=f"bad.pt.*{message}"):
        NetworkStore().additions(networks(use(path)), model)


def test_a_bias_of_another_size_is_told(tmp_path, model):
    layer = "lora_unet_down_blocks_0_resnets_0_conv1"
    shape = dict(model.unet.named_parameters())["down_blocks.0.resnets.0.conv1.weight"].shape
    parts = {f"{layer}.diff": torch.zeros(shape), f"{layer}.diff_b": torch.ones(shape[0] + 1)}
    torch.save(parts, tmp_path / "x.pt")
    added = NetworkStore().additions(networks(use(tmp_path / "x.pt")), model)
    assert added.comments == ("Networks with errors: x (1)",)


def test_a_lora_for_a_norm_is_refused(tmp_path, model):
    layer = "lora_unet_down_blocks_0_resnets_0_norm1"
    parts = {
        f"{layer}.lora_up.weight": torch.ones(32, 1),
        f"{layer}.lora_down.weight": torch.ones(1, 1),
    }
    save_file(parts, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="takes none"):
        NetworkStore().additions(networks(use(tmp_path / "x.safetensors")), model)


def test_equal_sets_are_merged_once_and_a_changed_file_anew(tmp_path, model):
    path = write_lora(tmp_path / "x.safetensors", deltas(LAYOUT, LAYERS))
    store = NetworkStore()
    first = store.additions(networks(use(path)), model)
    assert store.additions(networks(use(path)), model).merged is first.merged
    assert store.additions(networks(use(path, te=0.5)), model).merged is not first.merged
    assert store.additions(networks(use(path)), model).merged is first.merged, "a job has it still"
    write_lora(path, deltas(LAYOUT, LAYERS[:2], seed=9))
    again = store.additions(networks(use(path)), model)
    assert again.key != first.key
    assert again.merged is not first.merged


def test_merged_weights_go_with_their_checkpoint_and_with_the_next_set(tmp_path, tensors):
    paths = [write_lora(tmp_path / f"{i}.safetensors", deltas(LAYOUT, LAYERS)) for i in range(2)]
    save_file(tensors, tmp_path / "m.safetensors")
    model = load_checkpoint(tmp_path / "m.safetensors")
    store = NetworkStore()
    made = [weakref.ref(store.additions(networks(use(path)), model).merged) for path in paths]
    gc.collect()
    assert [each() is None for each in made] == [True, False]
    unet = weakref.ref(model.unet)
    del model
    gc.collect()
    assert (unet(), made[1]()) == (None, None)


def test_each_thread_has_its_own(tmp_path, model):
    paths = [
        write_lora(tmp_path / f"{seed}.safetensors", deltas(LAYOUT, LAYERS, seed))
        for seed in range(3)
    ]
    store = NetworkStore(kept=lambda: 3)
    wanted = [networks(use(path)) for path in paths]
    expected = [changed(model, store, each) for each in wanted]
    together = threading.Barrier(3)
    made = [None] * 3

    def work(index):
        with adding(store.additions(wanted[index], model)):
            together.wait()
            made[index] = outputs(model)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(map(same, made, expected))


def test_dyn_cuts_the_rank(tmp_path, model):
    """Spec networks.md 2.4: alpha is divided by the whole rank still."""
    found = deltas(LAYOUT, [ATTENTION])
    path = write_lora(tmp_path / "x.safetensors", found)
    cut = {name: (up[:, :1], down[:1]) for name, (up, down) in found.items()}
    added = NetworkStore().additions(networks(replace(use(path), dyn=1)), model)
    layer = layers_of(model)["diffusion_model_input_blocks_4_1_transformer_blocks_0_attn1_to_q"]
    torch.testing.assert_close(added.merged.of(layer)[0], layer.weight + product(*cut[ATTENTION]))
