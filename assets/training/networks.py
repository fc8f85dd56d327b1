"""The demo's networks, with the published layouts' key names: taming-transformers VQModel, Merlin I3ResNet, lungmask U-Net."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def group_norm(channels):
    return nn.GroupNorm(32, channels, 1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm1, self.conv1 = group_norm(c_in), nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.norm2, self.conv2 = group_norm(c_out), nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.nin_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.nin_shortcut is None else self.nin_shortcut(x)) + h


class AttnBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = group_norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        b, c, h, w = x.shape
        n = self.norm(x)
        q, k, v = (f(n).reshape(b, c, -1) for f in (self.q, self.k, self.v))
        share = F.softmax(torch.bmm(q.transpose(1, 2), k) * c**-0.5, 2)
        return x + self.proj_out(torch.bmm(v, share.transpose(1, 2)).reshape(b, c, h, w))


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 2, 0)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 1, 1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def middle(c):
    m = nn.Module()
    m.block_1, m.attn_1, m.block_2 = ResnetBlock(c, c), AttnBlock(c), ResnetBlock(c, c)
    return m


def level(c_in, c_out, blocks):
    m = nn.Module()
    m.block = nn.ModuleList(ResnetBlock(c_in if i == 0 else c_out, c_out) for i in range(blocks))
    m.attn = nn.ModuleList()
    return m


class Encoder(nn.Module):
    def __init__(self, ch, mult, blocks, z):
        super().__init__()
        self.conv_in = nn.Conv2d(1, ch, 3, 1, 1)
        self.down = nn.ModuleList()
        c = ch
        for i, m in enumerate(mult):
            self.down.append(level(c, ch * m, blocks))
            c = ch * m
            if i + 1 < len(mult):
                self.down[i].downsample = Downsample(c)
        self.mid = middle(c)
        self.norm_out, self.conv_out = group_norm(c), nn.Conv2d(c, z, 3, 1, 1)

    def forward(self, x):
        h = self.conv_in(x)
        for down in self.down:
            for block in down.block:
                h = block(h)
            h = down.downsample(h) if hasattr(down, "downsample") else h
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h)))
        return self.conv_out(F.silu(self.norm_out(h)))


class Decoder(nn.Module):
    def __init__(self, ch, mult, blocks, z):
        super().__init__()
        c = ch * mult[-1]
        self.conv_in = nn.Conv2d(z, c, 3, 1, 1)
        self.mid = middle(c)
        levels = []
        for i in reversed(range(len(mult))):
            levels.insert(0, level(c, ch * mult[i], blocks + 1))
            c = ch * mult[i]
            if i > 0:
                levels[0].upsample = Upsample(c)
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = group_norm(c), nn.Conv2d(c, 1, 3, 1, 1)

    def forward(self, z):
        h = self.conv_in(z)
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h)))
        for up in reversed(self.up):
            for block in up.block:
                h = block(h)
            h = up.upsample(h) if hasattr(up, "upsample") else h
        return self.conv_out(F.silu(self.norm_out(h)))


class Quantize(nn.Module):
    def __init__(self, n, dim):
        super().__init__()
        self.embedding = nn.Embedding(n, dim)

    def nearest(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]).float()
        codes = self.embedding.weight
        return (codes.square().sum(1) - 2 * flat @ codes.t()).argmin(1)

    def forward(self, z):
        """The codes (straight through), the loss of codebook and commitment, the indices."""
        z = z.float()
        index = self.nearest(z.detach())
        b, c, h, w = z.shape
        codes = self.embedding(index).view(b, h, w, c).permute(0, 3, 1, 2)
        loss = F.mse_loss(codes, z.detach()) + 0.25 * F.mse_loss(codes.detach(), z)
        return z + (codes - z).detach(), loss, index


class VQModel(nn.Module):
    """Slices in -1..1 in, slices in about -1..1 out."""

    def __init__(self, ch, mult, blocks, z, dim, n):
        super().__init__()
        self.encoder, self.decoder = Encoder(ch, mult, blocks, z), Decoder(ch, mult, blocks, z)
        self.quantize = Quantize(n, dim)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(z, dim, 1), nn.Conv2d(dim, z, 1)

    def before_codes(self, x):
        return self.quant_conv(self.encoder(x))

    def encode(self, x):
        return self.quantize(self.before_codes(x))[0]

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents))


class Bottleneck(nn.Module):
    def __init__(self, c_in, width, stride):
        super().__init__()
        c_out = 4 * width
        self.conv1, self.bn1 = nn.Conv3d(c_in, width, 1, bias=False), nn.BatchNorm3d(width)
        self.conv2, self.bn2 = nn.Conv3d(width, width, 3, stride, 1, bias=False), nn.BatchNorm3d(width)
        self.conv3, self.bn3 = nn.Conv3d(width, c_out, 1, bias=False), nn.BatchNorm3d(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv3d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm3d(c_out))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + (x if self.downsample is None else self.downsample(x)))


class I3ResNet(nn.Module):
    """`[b, 1, slices, h, w]` in 0..1 to logits. One input channel while training; `published` repeats it to three."""

    def __init__(self, stem, widths, blocks, classes, contrast=8):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(1, stem, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(stem)
        c = stem
        for i, (width, n) in enumerate(zip(widths, blocks)):
            layer = []
            for j in range(n):
                layer.append(Bottleneck(c, width, 2 if i and j == 0 else 1))
                c = 4 * width
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))
        self.classifier = nn.Conv3d(c, classes, 1)
        self.contrastive_head = nn.Conv3d(c, contrast, 1)  # the published layout has it; nothing here uses it

    def forward(self, x):
        return self.with_places(x)[0]

    def with_places(self, x):
        """Logits, and the features of layers 1, 2 and 4."""
        x = F.max_pool3d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        first = self.layer1(x)
        second = self.layer2(first)
        last = self.layer4(self.layer3(second))
        return self.classifier(last.mean((2, 3, 4), keepdim=True)).flatten(1), first, second, last

    def published(self):
        state = dict(self.state_dict())
        state["conv1.weight"] = (state["conv1.weight"] / 3).repeat(1, 3, 1, 1, 1)
        return state


class UNetBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(i, o, 3, 1, 1), nn.ReLU(), nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1), nn.ReLU(), nn.BatchNorm2d(o)
        )

    def forward(self, x):
        return self.block(x)


class UNetUp(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.up = nn.Sequential(nn.Upsample(mode="bilinear", scale_factor=2), nn.Conv2d(i, o, 1))
        self.conv_block = UNetBlock(i, o)

    def forward(self, x, bridge):
        return self.conv_block(torch.cat([self.up(x), bridge], 1))


class UNet(nn.Module):
    """`[b, 1, h, w]` in 0..1 to logits of no lung, right lung, left lung."""

    def __init__(self, widths, classes=3):
        super().__init__()
        self.down_path = nn.ModuleList(UNetBlock(i, o) for i, o in zip([1, *widths], widths))
        self.up_path = nn.ModuleList(UNetUp(o, i) for i, o in reversed(list(zip(widths, widths[1:]))))
        self.last = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x):
        bridges = []
        for i, block in enumerate(self.down_path):
            x = block(F.avg_pool2d(x, 2) if i else x)
            bridges.append(x)
        for up, bridge in zip(self.up_path, reversed(bridges[:-1])):
            x = up(x, bridge)
        return self.last(x)
