"""A pre-LN vision Transformer (Dosovitskiy et al., 2020, section 3.1) for 8x8 images."""

import torch
from torch import Tensor, nn

IMAGE_SIZE, PATCH_SIZE = 8, 2
WIDTH, HEADS, LAYERS, CLASSES = 48, 4, 3, 10


class Attention(nn.Module):
    """Multi-head self-attention over [batch, tokens, WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)

    def split_heads(self, tokens: Tensor) -> Tensor:
        """[batch, tokens, WIDTH] -> [batch, HEADS, tokens, WIDTH / HEADS]"""
        batch, count, _ = tokens.shape
        return tokens.reshape(batch, count, HEADS, WIDTH // HEADS).transpose(1, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (self.split_heads(part(tokens)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2)
        combined: Tensor = self.output(mixed.reshape(tokens.shape))
        return combined


class Block(nn.Module):
    """One layer: attention and a two-layer GELU network, each behind a LayerNorm and a residual sum."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        changed: Tensor = tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))
        return changed


class VisionTransformer(nn.Module):
    """image [batch, 1, 8, 8] in 0..1 -> logits [batch, 10]: 16 patches of 2x2 and a class token."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        patches = (IMAGE_SIZE // PATCH_SIZE) ** 2
        self.patch_embedding = nn.Conv2d(1, WIDTH, kernel_size=PATCH_SIZE, stride=PATCH_SIZE)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, patches + 1, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block(dropout) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embedding(image).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(image.shape[0], -1, -1)
        tokens = torch.cat([class_token, patches], dim=1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits
