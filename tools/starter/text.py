"""The CLIP text model in small, with transformers' module names under `text_model`.

Layout after Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(2021). Input: rows [n, 77] of the small training embedding (see `tokens.py`).
"""

import torch
from torch import nn
from torch.nn import functional as F

from .tokens import LENGTH, known_tokens

WIDTH, LAYERS, HEAD = 64, 3, 64


class Embeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.token_embedding = nn.Embedding(len(known_tokens()), WIDTH)
        self.position_embedding = nn.Embedding(LENGTH, WIDTH)
        nn.init.normal_(self.token_embedding.weight, std=0.5)
        nn.init.normal_(self.position_embedding.weight, std=0.1)

    def forward(self, rows):
        return self.token_embedding(rows) + self.position_embedding.weight[: rows.shape[1]]


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )

    def forward(self, x):
        q, k, v = (
            f(x).unflatten(-1, (-1, HEAD)).transpose(1, 2)
            for f in (self.q_proj, self.k_proj, self.v_proj)
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(out.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h))  # quick GELU


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = SelfAttention(), MLP()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class TextModel(nn.Module):
    """rows [n, 77] -> context [n, 77, 64]; `skip` leaves out the last layers (CLIP skip - 1)."""

    def __init__(self):
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Layer() for _ in range(LAYERS))})
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, rows, skip: int = 0):
        x = self.embeddings(rows)
        for layer in self.encoder["layers"][: LAYERS - skip]:
            x = layer(x)
        return self.final_layer_norm(x)
