"""Files with random weights in the layouts that BLIP, CLIP and DeepDanbooru were published in."""

import torch

#: A vocabulary of BERT's kind: pieces by their lines.
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "picture", "of", "cat", "##s", "."]
PIECES += [f"word{number}" for number in range(20)]


def _linear(state, name, out, into):
    state[f"{name}.weight"] = torch.randn(out, into) * into**-0.5
    state[f"{name}.bias"] = torch.randn(out) * 0.02


def _norm(state, name, width):
    state[f"{name}.weight"] = 1 + torch.randn(width) * 0.02
    state[f"{name}.bias"] = torch.randn(width) * 0.02


def blip(width=64, depth=1, text=64, text_depth=1, side=32, patch=16, words=None, positions=64):
    """The tensors of `model_base_caption_capfilt_large.pth`, at these sizes."""
    words = len(PIECES) + 2 if words is None else words
    state = {}
    patches = (side // patch) ** 2
    state["visual_encoder.cls_token"] = torch.randn(1, 1, width)
    state["visual_encoder.pos_embed"] = torch.randn(1, patches + 1, width)
    state["visual_encoder.patch_embed.proj.weight"] = torch.randn(width, 3, patch, patch) * 0.02
    state["visual_encoder.patch_embed.proj.bias"] = torch.randn(width) * 0.02
    for number in range(depth):
        block = f"visual_encoder.blocks.{number}"
        _norm(state, f"{block}.norm1", width)
        _linear(state, f"{block}.attn.qkv", 3 * width, width)
        _linear(state, f"{block}.attn.proj", width, width)
        _norm(state, f"{block}.norm2", width)
        _linear(state, f"{block}.mlp.fc1", 4 * width, width)
        _linear(state, f"{block}.mlp.fc2", width, 4 * width)
    _norm(state, "visual_encoder.norm", width)
    embeddings = "text_decoder.bert.embeddings"
    state[f"{embeddings}.position_ids"] = torch.arange(positions)[None]
    state[f"{embeddings}.word_embeddings.weight"] = torch.randn(words, text)
    state[f"{embeddings}.position_embeddings.weight"] = torch.randn(positions, text)
    _norm(state, f"{embeddings}.LayerNorm", text)
    for number in range(text_depth):
        layer = f"text_decoder.bert.encoder.layer.{number}"
        for kind, into in (("attention", text), ("crossattention", width)):
            _linear(state, f"{layer}.{kind}.self.query", text, text)
            _linear(state, f"{layer}.{kind}.self.key", text, into)
            _linear(state, f"{layer}.{kind}.self.value", text, into)
            _linear(state, f"{layer}.{kind}.output.dense", text, text)
            _norm(state, f"{layer}.{kind}.output.LayerNorm", text)
        _linear(state, f"{layer}.intermediate.dense", 4 * text, text)
        _linear(state, f"{layer}.output.dense", text, 4 * text)
        _norm(state, f"{layer}.output.LayerNorm", text)
    predictions = "text_decoder.cls.predictions"
    state[f"{predictions}.bias"] = torch.randn(words)
    _linear(state, f"{predictions}.transform.dense", text, text)
    _norm(state, f"{predictions}.transform.LayerNorm", text)
    state[f"{predictions}.decoder.weight"] = torch.randn(words, text)
    state[f"{predictions}.decoder.bias"] = state[f"{predictions}.bias"]
    return state


def clip(vision=64, text=64, depth=1, projected=32, side=28, patch=14, words=49408):
    """OpenAI's tensors, as OpenCLIP has them too."""
    state = {
        "token_embedding.weight": torch.randn(words, text) * 0.02,
        "positional_embedding": torch.randn(77, text) * 0.01,
        "text_projection": torch.randn(text, projected) * text**-0.5,
        "logit_scale": torch.tensor(4.6052),
        "visual.class_embedding": torch.randn(vision),
        "visual.positional_embedding": torch.randn((side // patch) ** 2 + 1, vision),
        "visual.conv1.weight": torch.randn(vision, 3, patch, patch) * 0.02,
        "visual.proj": torch.randn(vision, projected) * vision**-0.5,
    }
    for name, width in (("visual.ln_pre", vision), ("visual.ln_post", vision), ("ln_final", text)):
        _norm(state, name, width)
    for before, width in (("visual.", vision), ("", text)):
        for number in range(depth):
            block = f"{before}transformer.resblocks.{number}"
            state[f"{block}.attn.in_proj_weight"] = torch.randn(3 * width, width) * width**-0.5
            state[f"{block}.attn.in_proj_bias"] = torch.randn(3 * width) * 0.02
            _linear(state, f"{block}.attn.out_proj", width, width)
            _norm(state, f"{block}.ln_1", width)
            _norm(state, f"{block}.ln_2", width)
            _linear(state, f"{block}.mlp.c_fc", 4 * width, width)
            _linear(state, f"{block}.mlp.c_proj", width, 4 * width)
    return state


def script_module(state):
    """A module tree with these tensors as parameters at these names."""
    top = torch.nn.Module()
    for name, tensor in state.items():
        *path, last = name.split(".")
        module = top
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        module.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
    return top


#: DeepDanbooru's own stages: channels, and blocks beyond the first.
STAGES = ((256, 2), (512, 7), (1024, 19), (1024, 19), (2048, 2), (4096, 2))
TAGS = ("1girl", "long_hair", "hat_(witch)", "rating:safe")


def danbooru(stages=((16, 1), (24, 1), (24, 0)), stem=8, tags=TAGS, first=True, bias=False):
    """The tensors and tags of `model-resnet_custom_v3.pt`. `first`: a stage's convolution on the
    stream comes before the others of its block, as in the published file."""
    sizes = [(stem, 3, 7)]
    width = stem
    for out, more in stages:
        inner = out // 4
        row = [(inner, width, 1), (inner, inner, 3), (out, inner, 1)]
        stream = [(out, width, 1)]
        sizes += stream + row if first else row + stream
        for _ in range(more):
            sizes += [(inner, out, 1), (inner, inner, 3), (out, inner, 1)]
        width = out
    state: dict[str, object] = {"tags": list(tags)}
    for number, (out, into, side) in enumerate(sizes):
        scale = (2 / (into * side**2)) ** 0.5
        state[f"n_Conv_{number}.weight"] = torch.randn(out, into, side, side) * scale
        state[f"n_Conv_{number}.bias"] = torch.randn(out) * 0.02
    state[f"n_Conv_{len(sizes)}.weight"] = torch.randn(len(tags), width, 1, 1) * width**-0.5
    if bias:
        state[f"n_Conv_{len(sizes)}.bias"] = torch.randn(len(tags))
    return state
