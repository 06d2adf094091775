"""The `contrastive` recipe in plain PyTorch: the same model, data, batches per epoch, augmentation and schedule.

    pip install torch==2.9.0 safetensors numpy pillow tokenizers cbor2
    crucible train contrastive --seed 0
    python benches/peers/contrastive.py runs/contrastive-quick-seed0 --seed 0     # prints its scores as JSON

Reads the configuration, the tokenizer and the last weights of a finished run, and the emoji from datasets/emoji; scores
the twin and, in the same way, the weights of the run. Those of the twin are drawn from the same distributions, its batches
from a shuffle of its own: what agrees is the recipe, not the numbers drawn.
"""

import argparse
import hashlib
import io
import json
import math
import pathlib
import tarfile
import time

import numpy
import torch
from PIL import Image, ImageEnhance
from torch.nn import functional as F

import step
import twin

ARCHIVE = pathlib.Path(__file__).parent.parent.parent / "datasets" / "emoji" / "emoji.tar.gz"


def samples():
    """Train, valid and test: (picture, captions, group)."""
    splits = [[], [], []]
    with tarfile.open(ARCHIVE) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    for line in files["emoji.jsonl"].decode().splitlines():
        row = json.loads(line)
        head = hashlib.sha256(row["image"].encode()).digest()[:8]
        fraction = (int.from_bytes(head, "big") >> 11) / (1 << 53)
        captions = [row["name"]] + ([", ".join(row["tags"])] if row["tags"] else [])
        rgba = Image.open(io.BytesIO(files[row["image"]])).convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        picture = Image.alpha_composite(white, rgba).convert("RGB")
        split = 2 if fraction < 0.2 else 1 if fraction < 0.3 else 0
        splits[split].append((picture, captions, row["group"]))
    return splits


class Recipe(twin.Twin):
    def __init__(self, run, seed):
        super().__init__(run, seed)
        model, side = self.config["model"], self.config["image"]["size"]
        stem, d, d_ff = model["stem"], model["d_model"], model["d_ff"]
        self.vision = {"stem_cell": model["stem_cell"], "stem": stem, "pooling": model["pooling"],
                       "encoder": {**self.block, "layers": model["image_layers"]}}
        self.text = {"pooling": model["pooling"], "encoder": {**self.block, "layers": model["text_layers"]}}
        cell = model["patch_size"] // (model["stem_cell"] * 2 ** len(stem))
        self.cells = {"stem": model["stem_cell"], "projection": cell}
        channels = 3 * model["stem_cell"] ** 2
        for i, width in enumerate(stem):
            weight = torch.randn(width, channels, 3, 3) * math.sqrt(2 / (9 * channels))
            self.put(f"vision.patch_embedding.stem.{i}.convolution.weight", weight)
            self.put(f"vision.patch_embedding.stem.{i}.convolution.bias", torch.zeros(width))
            self.norm(f"vision.patch_embedding.stem.{i}.norm", width)
            channels = width
        weight = self.xavier(d, cell * cell * channels).reshape(d, channels, cell, cell)
        self.put("vision.patch_embedding.projection.weight", weight)
        self.put("vision.patch_embedding.projection.bias", torch.zeros(d))
        tokens = (side // model["patch_size"]) ** 2
        self.put("vision.position.Learned", 0.02 * torch.randn(tokens, d))
        self.stack("vision.encoder", model["image_layers"], d, d_ff)
        self.text_encoder("text", model["text_layers"], d, d_ff)
        width = self.config["d_embedding"]
        self.put("image_projection.weight", self.xavier(width, d))
        self.put("text_projection.weight", self.xavier(width, d))
        self.put("log_scale", torch.tensor([math.log(1 / 0.07)]))

    def name(self, name):
        # The bias is SigLIP's.
        return "" if name == "encoder.bias" else name.removeprefix("encoder.")

    def pixels(self, picture, training):
        side = self.config["image"]["size"]
        picture = picture.resize((side, side), Image.BILINEAR)
        augment = self.config["augment"]
        if training:
            pad = augment["crop_padding"]
            right, down = self.random.randint(-pad, pad), self.random.randint(-pad, pad)
            array = numpy.asarray(picture)
            rows = numpy.clip(numpy.arange(side) - down, 0, side - 1)
            columns = numpy.clip(numpy.arange(side) - right, 0, side - 1)
            picture = Image.fromarray(array[rows][:, columns])
            if augment["flip"] and self.random.random() < 0.5:
                picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
            if augment["colour"] > 0:
                for kind in [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]:
                    picture = kind(picture).enhance(1 + augment["colour"] * self.random.uniform(-1, 1))
        tensor = torch.from_numpy(numpy.asarray(picture, dtype=numpy.float32).copy()).permute(2, 0, 1) / 255
        return (tensor - 0.5) / 0.5

    def images(self, pictures, training=False):
        x = torch.stack([self.pixels(picture, training) for picture in pictures])
        pooled = step.vit(step.Part(self.parameters)["vision"], self.vision, x)[1]
        return F.linear(pooled, self.parameters["image_projection.weight"])

    def texts(self, texts):
        ids = [self.tokenizer.encode(text).ids for text in texts]
        length = max(map(len, ids))
        padding = torch.tensor([[False] * len(row) + [True] * (length - len(row)) for row in ids])
        ids = torch.tensor([row + [0] * (length - len(row)) for row in ids])
        pooled = step.text_encoder(step.Part(self.parameters)["text"], self.text, ids, padding)[1]
        return F.linear(pooled, self.parameters["text_projection.weight"])

    def loss(self, batch):
        image = F.normalize(self.images([picture for picture, _, _ in batch], True), dim=-1)
        texts = [self.random.choice(captions) for _, captions, _ in batch]
        text = F.normalize(self.texts(texts), dim=-1)
        logits = self.parameters["log_scale"].clamp(max=math.log(100)).exp() * image @ text.T
        # What another image is called too is no negative of it.
        fits = torch.tensor([[text in captions for text in texts] for _, captions, _ in batch])
        logits = logits.masked_fill(fits & ~torch.eye(len(batch), dtype=torch.bool), -torch.inf)
        target = torch.arange(len(batch))
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    @torch.no_grad()
    def score(self, data):
        pictures = [picture for picture, _, _ in data]
        texts = [captions[0] for _, captions, _ in data]
        image = F.normalize(torch.cat([self.images(pictures[i:i + 64]) for i in range(0, len(data), 64)]), dim=-1)
        text = F.normalize(torch.cat([self.texts(texts[i:i + 64]) for i in range(0, len(data), 64)]), dim=-1)
        cosines = image @ text.T
        metrics = {}
        for name, found in [("i2t", cosines), ("t2i", cosines.T)]:
            ranks = (found >= found.diag()[:, None]).sum(1).float()
            for k in [1, 5, 10]:
                metrics[f"{name}_r{k}"] = (ranks <= k).float().mean().item()
        groups = sorted({group for _, _, group in data})
        templates = self.config["zero_shot"]["templates"]
        named = [F.normalize(self.texts([t.replace("{}", g) for g in groups]), dim=-1) for t in templates]
        best = (image @ F.normalize(sum(named), dim=-1).T).argmax(1)
        right = [groups[i] == group for i, (_, _, group) in zip(best, data)]
        metrics["zero_shot_accuracy"] = sum(right) / len(right)
        return metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(2)
    train, _, test = samples()
    recipe = Recipe(args.run, args.seed)
    started = time.perf_counter()
    recipe.train(train)
    seconds = time.perf_counter() - started
    count = sum(p.numel() for p in recipe.parameters.values())
    scores = {"twin": recipe.score(test)}
    recipe.parameters = recipe.weights(args.run)
    scores["run"] = recipe.score(test)
    print(json.dumps({"seed": args.seed, "parameters": count, "seconds": seconds, **scores}, indent=1))


if __name__ == "__main__":
    main()
