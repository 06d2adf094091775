"""Fixtures for tests/parity.rs: small models in plain PyTorch, with their outputs and gradients.

    pip install torch==2.9.0 safetensors numpy
    python tests/reference/models.py        # writes tests/fixtures/models/*.safetensors

Parameters are written under the names and in the layout of the Rust modules (`model.*`), so that the test
needs no adapter: a linear weight is [in, out], a norm has gamma and beta. `grad.*` are the gradients of
sum(output * probe). Masks are integers, 1 = may not be attended to.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "models"


class Fixture:
    """Collects pairs (name, tensor, layout), then runs backward and writes values and gradients."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.parameters, self.tensors = [], {}

    def parameter(self, name, tensor, layout=lambda t: t):
        self.parameters.append((name, tensor, layout))

    def linear(self, name, weight, bias):
        self.parameter(f"{name}.weight", weight, lambda t: t.T)
        self.parameter(f"{name}.bias", bias)

    def norm(self, name, norm):
        self.parameter(f"{name}.gamma", norm.weight)
        self.parameter(f"{name}.beta", norm.bias)

    def attention(self, prefix, mha):
        """torch packs query, key and value in one matrix where their widths agree."""
        d = mha.embed_dim
        for i, part in enumerate(["query", "key", "value"]):
            rows = slice(i * d, (i + 1) * d)
            if mha.in_proj_weight is not None:
                self.parameter(f"{prefix}{part}.weight", mha.in_proj_weight, lambda t, r=rows: t[r].T)
            else:
                separate = [mha.q_proj_weight, mha.k_proj_weight, mha.v_proj_weight][i]
                self.parameter(f"{prefix}{part}.weight", separate, lambda t: t.T)
            self.parameter(f"{prefix}{part}.bias", mha.in_proj_bias, lambda t, r=rows: t[r])
        self.linear(f"{prefix}output", mha.out_proj.weight, mha.out_proj.bias)

    def block(self, name, layer, cross=False):
        """nn.TransformerEncoderLayer, or nn.TransformerDecoderLayer with `cross`."""
        self.attention(f"{name}.attention.", layer.self_attn)
        self.norm(f"{name}.attention_residual.norm", layer.norm1)
        if cross:
            self.attention(f"{name}.cross_attention.", layer.multihead_attn)
            self.norm(f"{name}.cross_attention_residual.norm", layer.norm2)
        self.linear(f"{name}.feed_forward.inner", layer.linear1.weight, layer.linear1.bias)
        self.linear(f"{name}.feed_forward.outer", layer.linear2.weight, layer.linear2.bias)
        self.norm(f"{name}.feed_forward_residual.norm", layer.norm3 if cross else layer.norm2)

    def convolution_as_product(self, name, conv):
        """[out, in, y, x] becomes [y * x * in, out]."""
        self.parameter(f"{name}.weight", conv.weight, lambda t: t.permute(2, 3, 1, 0).flatten(0, 2))
        self.parameter(f"{name}.bias", conv.bias)

    def shake(self, *modules):
        """Norms and biases start at 1 and 0, where a wrong one would not show."""
        for module in modules:
            for p in module.parameters():
                if p.dim() == 1:
                    p.data += 0.2 * torch.randn_like(p)

    def write(self, name, inputs, output):
        """`inputs`: name to tensor; those that require a gradient get one written."""
        # Written before backward: some tensors are views of what is updated.
        for key, tensor in inputs.items():
            self.tensors[f"input.{key}"] = tensor.detach().clone()
        for key, tensor, layout in self.parameters:
            self.tensors[f"model.{key}"] = layout(tensor.detach()).clone()
        self.tensors["output"] = output.detach().clone()
        self.tensors["probe"] = torch.randn_like(output)
        (output * self.tensors["probe"]).sum().backward()
        for key, tensor, layout in self.parameters:
            if tensor.requires_grad:
                self.tensors[f"grad.{key}"] = layout(tensor.grad).clone()
        for key, tensor in inputs.items():
            if tensor.requires_grad:
                self.tensors[f"grad.input.{key}"] = tensor.grad.clone()
        path = OUT / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in self.tensors.items()}, path)
        assert path.stat().st_size < 300_000, f"{path} is too large to commit"
        print(path.name, path.stat().st_size)


def padding(*lengths):
    """[batch, longest], true = padding."""
    longest = max(lengths)
    return torch.tensor([[i >= n for i in range(longest)] for n in lengths])


def self_attention():
    f = Fixture(1)
    mha = nn.MultiheadAttention(16, 4, batch_first=True)
    f.shake(mha)
    f.attention("", mha)
    x, mask = torch.randn(3, 7, 16, requires_grad=True), padding(7, 3, 5)
    y, _ = mha(x, x, x, key_padding_mask=mask)
    f.write("self_attention", {"x": x, "padding": mask.long()}, y)


def causal_attention():
    f = Fixture(2)
    mha = nn.MultiheadAttention(16, 2, batch_first=True)
    f.shake(mha)
    f.attention("", mha)
    x = torch.randn(2, 6, 16, requires_grad=True)
    y, _ = mha(x, x, x, attn_mask=torch.ones(6, 6, dtype=torch.bool).triu(1))
    f.write("causal_attention", {"x": x}, y)


def cross_attention():
    f = Fixture(3)
    mha = nn.MultiheadAttention(16, 4, kdim=10, vdim=10, batch_first=True)
    f.shake(mha)
    f.attention("", mha)
    x, context = torch.randn(2, 5, 16, requires_grad=True), torch.randn(2, 8, 10, requires_grad=True)
    mask = padding(8, 2)
    y, _ = mha(x, context, context, key_padding_mask=mask)
    f.write("cross_attention", {"x": x, "context": context, "padding": mask.long()}, y)


def encoder(name, norm_first, activation):
    f = Fixture(4)
    layers = [
        nn.TransformerEncoderLayer(
            16, 4, 24, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
        )
        for _ in range(2)
    ]
    final = nn.LayerNorm(16)
    f.shake(final, *layers)
    for i, layer in enumerate(layers):
        f.block(f"blocks.{i}", layer)
    x, mask = torch.randn(3, 6, 16, requires_grad=True), padding(6, 2, 4)
    y = x
    for layer in layers:
        y = layer(y, src_key_padding_mask=mask)
    if norm_first:
        f.norm("norm", final)
        y = final(y)
    f.write(name, {"x": x, "padding": mask.long()}, y)


def decoder(name, norm_first):
    f = Fixture(5)
    layers = [
        nn.TransformerDecoderLayer(
            16, 2, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
        )
        for _ in range(2)
    ]
    final = nn.LayerNorm(16)
    f.shake(final, *layers)
    for i, layer in enumerate(layers):
        f.block(f"blocks.{i}", layer, cross=True)
    x, context = torch.randn(2, 5, 16, requires_grad=True), torch.randn(2, 4, 16, requires_grad=True)
    x_mask, context_mask = padding(5, 3), padding(2, 4)
    y = x
    for layer in layers:
        y = layer(
            y,
            context,
            tgt_mask=torch.ones(5, 5, dtype=torch.bool).triu(1),
            tgt_key_padding_mask=x_mask,
            memory_key_padding_mask=context_mask,
        )
    if norm_first:
        f.norm("norm", final)
        y = final(y)
    inputs = {"x": x, "padding": x_mask.long(), "context": context, "context_padding": context_mask.long()}
    f.write(name, inputs, y)


def two_streams(name, norm_first):
    """XLNet, section 2.3 and appendix A.2, with absolute positions left to the caller: the query stream has the weights
    of the content stream, whose states it reads, and does not see its own position."""
    f = Fixture(20)
    layers = [
        nn.TransformerEncoderLayer(
            16, 4, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
        )
        for _ in range(2)
    ]
    final = nn.LayerNorm(16)
    f.shake(final, *layers)
    for i, layer in enumerate(layers):
        f.block(f"blocks.{i}", layer)
    content = torch.randn(2, 5, 16, requires_grad=True)
    query = torch.randn(2, 5, 16, requires_grad=True)
    orders = torch.tensor([[3, 0, 4, 1, 2], [1, 2, 0, 4, 3]])
    turn = orders.argsort(1)
    content_hidden, query_hidden = turn[:, None, :] > turn[:, :, None], turn[:, None, :] >= turn[:, :, None]

    def attention(layer, x, context, hidden):
        """A row with nothing to attend to averages, which torch's own attention would make NaN."""
        mha = layer.self_attn
        sides = [x, context, context]
        parts = zip(sides, mha.in_proj_weight.chunk(3), mha.in_proj_bias.chunk(3))
        q, k, v = [nn.functional.linear(*part).unflatten(-1, (4, 4)).transpose(1, 2) for part in parts]
        scores = (q @ k.mT / 2).masked_fill(hidden[:, None], -1e4)
        return mha.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def feed(layer, x):
        branch = lambda y: layer.linear2(nn.functional.gelu(layer.linear1(y)))
        return x + branch(layer.norm2(x)) if norm_first else layer.norm2(x + branch(x))

    def attend(layer, x, context, mask):
        if norm_first:
            context = layer.norm1(context)
            return x + attention(layer, layer.norm1(x), context, mask)
        return layer.norm1(x + attention(layer, x, context, mask))

    h, g = content, query
    for layer in layers:
        h, g = attend(layer, h, h, content_hidden), attend(layer, g, h, query_hidden)
        h, g = feed(layer, h), feed(layer, g)
    if norm_first:
        h, g = final(h), final(g)
        f.norm("norm", final)
    inputs = {"content": content, "query": query, "orders": orders}
    f.write(name, inputs, torch.cat([h, g], 1))


def prefix_encoder():
    """T5's PrefixLM, figure 4: a prefix is seen from everywhere, the rest from later on."""
    f = Fixture(21)
    layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, activation="gelu", batch_first=True)
    f.shake(layer)
    f.block("blocks.0", layer)
    x = torch.randn(2, 6, 16, requires_grad=True)
    prefixes, places = torch.tensor([2, 4]), torch.arange(6)
    hidden = (places[None, :] > places[:, None])[None] & (places[None, None, :] >= prefixes[:, None, None])
    y = layer(x, src_mask=torch.where(hidden, -1e4, 0.0).repeat_interleave(2, 0))
    f.write("prefix_encoder", {"x": x, "prefixes": prefixes[:, None]}, y)


def text_encoder():
    """BERT: word + position + token type, LayerNorm, post-norm blocks, epsilon 1e-12."""
    f = Fixture(6)
    word, position, kind = nn.Embedding(30, 16), nn.Embedding(9, 16), nn.Embedding(2, 16)
    norm = nn.LayerNorm(16, eps=1e-12)
    layers = [
        nn.TransformerEncoderLayer(
            16, 4, 32, dropout=0.0, activation="gelu", batch_first=True, layer_norm_eps=1e-12
        )
        for _ in range(2)
    ]
    f.shake(norm, *layers)
    f.parameter("embeddings.word.weight", word.weight)
    f.parameter("embeddings.position", position.weight)
    f.parameter("embeddings.token_type.weight", kind.weight)
    f.norm("embeddings.norm", norm)
    for i, layer in enumerate(layers):
        f.block(f"encoder.blocks.{i}", layer)
    ids, types, mask = torch.randint(0, 30, (3, 7)), torch.randint(0, 2, (3, 7)), padding(7, 4, 2)
    y = norm(word(ids) + position.weight[:7] + kind(types))
    for layer in layers:
        y = layer(y, src_key_padding_mask=mask)
    f.write("text_encoder", {"ids": ids, "types": types, "padding": mask.long()}, y)


def vit(name, stem_cell, stem, pooling):
    """timm's vision_transformer: pre-norm, epsilon 1e-6, [CLS] before the patches or none."""
    f = Fixture(7)
    convs, norms, channels = [], [], 3
    if stem_cell > 1:
        channels *= stem_cell**2
    for width in stem:
        convs.append(nn.Conv2d(channels, width, 3, 2, 1))
        norms.append(nn.LayerNorm(width, eps=1e-6))
        channels = width
    cell = 8 // stem_cell // 2 ** len(stem)
    projection = nn.Conv2d(channels, 16, cell, cell)
    cls = nn.Parameter(torch.randn(1, 1, 16)) if pooling == "cls" else None
    position = nn.Parameter(torch.randn(9 + (cls is not None), 16))
    layers = [
        nn.TransformerEncoderLayer(
            16, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, layer_norm_eps=1e-6
        )
        for _ in range(2)
    ]
    final = nn.LayerNorm(16, eps=1e-6)
    f.shake(projection, final, *convs, *norms, *layers)

    for i, (conv, norm) in enumerate(zip(convs, norms)):
        # Folded channels come as (channel, y, x) from torch, as (y, x, channel) in Rust.
        if i == 0 and stem_cell > 1:
            def layout(t):
                w = t.reshape(t.shape[0], 3, stem_cell, stem_cell, 3, 3)
                return w.permute(4, 5, 2, 3, 1, 0).flatten(0, 4)

            f.parameter("patch_embedding.stem.0.convolution.weight", conv.weight, layout)
            f.parameter("patch_embedding.stem.0.convolution.bias", conv.bias)
        else:
            f.convolution_as_product(f"patch_embedding.stem.{i}.convolution", conv)
        f.norm(f"patch_embedding.stem.{i}.norm", norm)
    f.convolution_as_product("patch_embedding.projection", projection)
    if cls is not None:
        f.parameter("class_token", cls)
    f.parameter("position", position)
    for i, layer in enumerate(layers):
        f.block(f"encoder.blocks.{i}", layer)
    f.norm("encoder.norm", final)

    images = torch.randn(2, 3, 24, 24, requires_grad=True)
    x = nn.functional.pixel_unshuffle(images, stem_cell)
    for conv, norm in zip(convs, norms):
        x = norm(conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = nn.functional.gelu(x)
    x = projection(x).flatten(2).transpose(1, 2)
    if cls is not None:
        x = torch.cat([cls.expand(2, 1, 16), x], 1)
    x = x + position
    for layer in layers:
        x = layer(x)
    x = final(x)
    f.write(name, {"images": images}, x[:, 0] if pooling == "cls" else x.mean(1))


class BasicBlock(nn.Module):
    """torchvision.models.resnet.BasicBlock."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(channels_out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + shortcut)


def resnet(name, stem, size, training):
    f = Fixture(8)
    width = 2
    if stem == "cifar":
        first = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    else:
        first = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
    blocks, channels = [], width
    for stage in range(4):
        for i in range(2):
            blocks.append(BasicBlock(channels, width << stage, 2 if stage and not i else 1))
            channels = width << stage
    model = nn.Sequential(first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    f.shake(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.1 * torch.randn_like(module.running_mean)
            module.running_var *= 1 + torch.rand_like(module.running_var)
    model.train(training)

    def conv_norm(name, conv, norm):
        f.parameter(f"{name}.convolution.weight", conv.weight)
        f.norm(f"{name}.norm", norm)
        f.parameter(f"{name}.norm.running_mean", norm.running_mean.clone())
        f.parameter(f"{name}.norm.running_var", norm.running_var.clone())

    conv_norm("stem", first[0], first[1])
    for i, block in enumerate(blocks):
        conv_norm(f"blocks.{i}.first", block.conv1, block.bn1)
        conv_norm(f"blocks.{i}.second", block.conv2, block.bn2)
        if block.downsample is not None:
            conv_norm(f"blocks.{i}.shortcut", block.downsample[0], block.downsample[1])
    images = torch.randn(4, 3, size, size, requires_grad=True)
    f.write(name, {"images": images}, model(images))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    self_attention()
    causal_attention()
    cross_attention()
    encoder("encoder_pre_norm", norm_first=True, activation="gelu")
    encoder("encoder_post_norm", norm_first=False, activation="relu")
    decoder("decoder_pre_norm", norm_first=True)
    decoder("decoder_post_norm", norm_first=False)
    two_streams("two_streams_pre_norm", norm_first=True)
    two_streams("two_streams_post_norm", norm_first=False)
    prefix_encoder()
    text_encoder()
    vit("vit_cls", stem_cell=1, stem=[], pooling="cls")
    vit("vit_stem_mean", stem_cell=1, stem=[6, 10], pooling="mean")
    vit("vit_folded_stem", stem_cell=4, stem=[10], pooling="mean")
    resnet("resnet_cifar_train", "cifar", 16, training=True)
    resnet("resnet_cifar_eval", "cifar", 16, training=False)
    resnet("resnet_imagenet_eval", "imagenet", 32, training=False)


if __name__ == "__main__":
    main()
