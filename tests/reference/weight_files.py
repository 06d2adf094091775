"""Fixtures for crates/weights/tests: small files of published weights in every format, and what is in them.

    pip install torch==2.9.0 transformers==4.57 safetensors numpy gguf sentencepiece
    python tests/reference/weight_files.py        # writes tests/fixtures/weight-files/

No byte of any value is zero, so that zeros that a reader makes up are seen. `expected.safetensors` holds what each
file's tensors are as 32-bit numbers, under FILE/TENSOR: of those with more than 512 values, the first and last 256.
`tokens.json` holds ids of texts as the models' published tokenizers cut them.
"""

import base64
import collections
import io
import json
import pathlib
import shutil
import tempfile
import zipfile

import gguf
import numpy as np
import sentencepiece
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import import_protobuf
from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "weight-files"
RNG = np.random.default_rng(7)
EXPECTED = {}

TEXT = """The capital of France is Paris. What is in the picture? It's a small red circle, isn't it?
They're 12 cats and 345 dogs; I'll count them: 1, 2, 3... The tall blue square isn't there.
Les élèves naïfs mangent des pâtes à la crème. 你好，世界！图片里有什么？一个红色的圆形。
def area(width, height):
    return width * height  # the picture's size
"""
TEXTS = [
    "", " ", "  \n\n  x", "The picture is small.", "It's 12345 cats, I'LL count 3.14", "a  1  2   3", "你好，世界！ ① ½",
    "<|im_start|>user\nWhat?<|im_end|>\n", "naïve café e\u0301 \u212b", "tabs\t\tand\r\nlines\n\n\nmore   ", "👩‍👩‍👧 😀",
    "don't DON'T 'tis <|tool|> <|im_end|", "x=1;y=22;z=333 4444", "العربية ١٢٣",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def full(make, shape):
    """Values none of whose bytes is zero."""
    values = make(shape)
    while True:
        width = values.dtype.itemsize
        empty = (np.ascontiguousarray(values).view(np.uint8).reshape(-1, width) == 0).any(axis=1).reshape(shape)
        if not empty.any():
            return values
        values = np.where(empty, make(shape), values)


def floats(*shape, dtype=np.float32):
    return full(lambda shape: np.array(RNG.normal(size=shape), dtype=dtype), shape)


def bfloats(*shape):
    bits = full(lambda shape: (np.array(RNG.normal(size=shape), dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16), shape)
    return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)


def ints(*shape, dtype):
    info = np.iinfo(dtype)
    return full(lambda shape: RNG.integers(info.max // 4, info.max, size=shape, dtype=dtype, endpoint=True), shape)


def expect(file, name, values):
    values = torch.as_tensor(values).detach().to(torch.float32).clone()
    EXPECTED[f"{file}/{name}.shape"] = torch.tensor(values.shape, dtype=torch.float32)
    values = values.flatten()
    EXPECTED[f"{file}/{name}"] = values if len(values) <= 512 else torch.cat([values[:256], values[-256:]])


def every_type():
    tensors = {
        "f64": floats(3, 5, dtype=np.float64), "f32": floats(2, 3, 5), "f16": floats(4, 3, dtype=np.float16),
        "i64": ints(1, 7, dtype=np.int64), "i32": ints(6, dtype=np.int32), "u8": ints(5, dtype=np.uint8),
    }
    tensors = {name: torch.from_numpy(values) for name, values in tensors.items()}
    scalar = torch.from_numpy(floats(1)).reshape(())
    return tensors | {"bf16": bfloats(5, 3), "bool": torch.ones(9, dtype=torch.bool), "scalar": scalar}


def safetensors():
    tensors = every_type()
    save_file(tensors | {"empty": torch.zeros(0, 4)}, OUT / "types.safetensors", metadata={"format": "pt"})
    for name, values in tensors.items():
        expect("types.safetensors", name, values)
    shards = [{"a.weight": floats(4, 6), "a.bias": floats(4)}, {"b.weight": floats(3, 4)}]
    (OUT / "sharded").mkdir()
    index = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: torch.from_numpy(values) for name, values in shard.items()}, OUT / "sharded" / file)
        for name, values in shard.items():
            index[name] = file
            expect("sharded", name, values)
    index = {"metadata": {"total_size": 160}, "weight_map": index}
    (OUT / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("echo this must not run",)


def pytorch():
    state = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict()
    assert hasattr(state, "_metadata")
    state.clear()
    state.update(every_type())
    base = torch.from_numpy(floats(6, 5))
    views = {
        "base": base, "transposed": base.T, "rows": base[2:4], "column": base[:, 3], "steps": base[1::2, ::3],
        "permuted": torch.from_numpy(floats(2, 3, 4)).permute(2, 0, 1), "parameter": torch.nn.Parameter(base[:2]),
        "one_row": base[3:4].expand(1, 5),
    }
    state.update(views)
    for name, values in state.items():
        expect("pytorch_model.bin", name, values)
    torch.save(state, OUT / "pytorch_model.bin")
    small = collections.OrderedDict(weight=base[:2].clone())
    other = {"epoch": 3, "best": 0.5, "done": True, "history": [1, [2**40, -7]], "next": None, "pair": (1, 2)}
    torch.save(other | {"state_dict": small}, OUT / "wrapped.pt")
    torch.save({"model": {"state_dict": dict(small)}}, OUT / "nested.pt")
    for file in ["wrapped.pt", "nested.pt"]:
        expect(file, "weight", small["weight"])
    torch.save({"weight": base, "evil": Evil()}, OUT / "evil.bin")
    torch.save({"lonely": 1}, OUT / "empty.bin")
    torch.save({"weight": base[:1].expand(100, 5)}, OUT / "expanded.bin")
    legacy = io.BytesIO()
    torch.save(small, legacy, _use_new_zipfile_serialization=False)
    (OUT / "legacy.bin").write_bytes(legacy.getvalue()[:100])  # What follows is new with each run.
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), OUT / "script.pt")
    with zipfile.ZipFile(OUT / "wrapped.pt") as source, zipfile.ZipFile(OUT / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)


def blocks(rows, columns, kind):
    """Quantised rows: scales like those of weights, no byte zero, no quantum that stands for zero."""
    numbers = rows * columns // 32
    halves = lambda: (np.abs(floats(numbers, 1, dtype=np.float16)) + np.float16(0.01)).astype(np.float16)
    scale = full(lambda shape: halves().reshape(shape), (numbers, 1)).view(np.uint8)
    least = full(lambda shape: halves().reshape(shape), (numbers, 1)).view(np.uint8)
    if kind == Kind.Q8_0:
        parts = [scale, RNG.integers(1, 256, size=(numbers, 32), dtype=np.uint8)]
    else:
        low, high = (RNG.choice([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15], size=(numbers, 16)) for _ in range(2))
        parts = [scale] + ([least] if kind == Kind.Q4_1 else []) + [(low | high << 4).astype(np.uint8)]
    return np.concatenate(parts, axis=1).reshape(rows, -1)


def vocabulary():
    """Byte-level BPE as GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    return tokens + ["<|tool|>"], [tuple(merge) for merge in model["merges"]]


def published(style, tokens, merges):
    """A tokenizer as the models of this style publish it."""
    llama3 = style == "llama-bpe"
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges, ignore_merges=llama3))
    bytes_ = lambda use_regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    split = lambda digits: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS % digits), "isolated"), bytes_(False)])
    tokenizer.pre_tokenizer = {
        "gpt-2": bytes_(True),
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_(True)]),
        "qwen2": split(r"\p{N}"),
        "llama-bpe": split(r"\p{N}{1,3}"),
    }[style]
    if style == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    if llama3:
        tokenizer.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("<|tool|>", normalized=False)])
    return tokenizer


def ggufs():
    tokens, merges = vocabulary()
    golden = {}
    width, heads, kv_heads, inner = 32, 3, 1, 32
    for file, architecture, style in [
        ("llama.gguf", "llama", "smollm"), ("qwen2.gguf", "qwen2", "qwen2"), ("llama-bpe.gguf", "llama", "llama-bpe"),
        ("gpt-2.gguf", "llama", "gpt-2"),
    ]:
        writer = gguf.GGUFWriter(OUT / file, architecture)
        writer.add_context_length(128)
        writer.add_embedding_length(width)
        writer.add_feed_forward_length(inner)
        writer.add_block_count(2)
        writer.add_head_count(heads)
        writer.add_head_count_kv(kv_heads)
        writer.add_key_length(4)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(100000.0)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(style)
        writer.add_token_list(tokens)
        writer.add_token_types([3 if token in SPECIAL else 4 if token == "<|tool|>" else 1 for token in tokens])
        writer.add_token_merges([" ".join(merge) for merge in merges])
        writer.add_bos_token_id(0 if style == "llama-bpe" else 1)
        writer.add_eos_token_id(2)
        writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")
        if style == "smollm":
            writer.add_add_bos_token(False)
        tokenizer = published(style, tokens, merges)
        golden[file] = [tokenizer.encode(text).ids for text in TEXTS]
        if file in ["llama.gguf", "qwen2.gguf"]:
            tensors(writer, file, architecture == "llama", len(tokens), width, heads, kv_heads, inner)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    (OUT / "tokens.json").write_text(json.dumps({"texts": TEXTS, "ids": golden}, ensure_ascii=False))
    return published("smollm", tokens, merges)


def tensors(writer, file, llama, vocabulary, width, heads, kv_heads, inner):
    """Each type of ggml in some place. The rows of queries and keys are put back by transformers' own code."""
    back = LlamaTensorProcessor({"num_attention_heads": heads, "num_key_value_heads": kv_heads})

    def add(name, rows, columns, kind, published):
        if kind == Kind.F32:
            stored = decoded = floats(*([rows, columns] if columns else [rows]))
        elif kind == Kind.F16:
            stored = floats(rows, columns, dtype=np.float16)
            decoded = stored.astype(np.float32)
        elif kind == Kind.BF16:
            bits = bfloats(rows, columns)
            stored, decoded = bits.view(torch.uint8).numpy(), bits.to(torch.float32).numpy()
        else:
            stored = blocks(rows, columns, kind)
            decoded = gguf.dequantize(stored, kind)
        writer.add_tensor(name, stored, raw_dtype=None if kind in (Kind.F32, Kind.F16) else kind)
        assert (decoded != 0).all()
        expect(file, published, back.process(decoded, name).weights if llama else decoded)

    add("token_embd.weight", vocabulary, width, Kind.Q8_0 if llama else Kind.Q4_0, "model.embed_tokens.weight")
    for layer in range(2):
        ours, theirs = f"blk.{layer}.", f"model.layers.{layer}."
        attention = theirs + "self_attn."
        add(ours + "attn_norm.weight", width, 0, Kind.F32, theirs + "input_layernorm.weight")
        add(ours + "attn_q.weight", heads * 4, width, [Kind.Q4_1, Kind.F16][layer], attention + "q_proj.weight")
        add(ours + "attn_k.weight", kv_heads * 4, width, [Kind.Q4_0, Kind.BF16][layer], attention + "k_proj.weight")
        add(ours + "attn_v.weight", kv_heads * 4, width, Kind.Q8_0, attention + "v_proj.weight")
        if not llama:
            for name, rows in [("q", heads * 4), ("k", kv_heads * 4), ("v", kv_heads * 4)]:
                add(f"{ours}attn_{name}.bias", rows, 0, Kind.F32, f"{attention}{name}_proj.bias")
        add(ours + "attn_output.weight", width, heads * 4, Kind.F32, attention + "o_proj.weight")
        add(ours + "ffn_norm.weight", width, 0, Kind.F32, theirs + "post_attention_layernorm.weight")
        for name in ["gate", "up", "down"]:
            add(f"{ours}ffn_{name}.weight", inner, inner, [Kind.Q4_0, Kind.Q4_1][layer], f"{theirs}mlp.{name}_proj.weight")
    add("output_norm.weight", width, 0, Kind.F32, "model.norm.weight")
    if not llama:
        add("output.weight", vocabulary, width, Kind.Q4_1, "lm_head.weight")


def unigram():
    """A SentencePiece tokenizer with a table of characters, as T5's."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("FF21\t41\n212B\tC5\n2160\t49\nFB01\t66 69\n")
        rules.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.splitlines()), model_writer=model, vocab_size=100, model_type="unigram",
            normalization_rule_tsv=rules.name, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        )
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(model.getvalue())
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in proto.pieces], unk_id=2))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def word_piece():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "picture", "is", "small", "##er", "##s", "cat", "a", "1", "##2", ".", "'"]
    tokenizer = Tokenizer(models.WordPiece({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(words[:5])
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(16)
    return tokenizer


def folder(tokenizer):
    """The texts of a folder."""
    (OUT / "texts").mkdir()
    write = lambda name, value: (OUT / "texts" / name).write_text(json.dumps(value, indent=1))
    tokenizer.save(str(OUT / "texts" / "tokenizer.json"), pretty=False)
    unigram().save(str(OUT / "texts" / "unigram.json"), pretty=False)
    word_piece().save(str(OUT / "texts" / "word-piece.json"), pretty=False)
    write("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "rms_norm_eps": 1e-5,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0}, "id2label": {"0": "a", "1": "b"}, "tie_word_embeddings": True,
    })
    write("tokenizer_config.json", {
        "add_bos_token": False, "bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>", "special": True},
        "chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ messages }}"}],
    })
    write("special_tokens_map.json", {"bos_token": "<|endoftext|>", "pad_token": {"content": "<|endoftext|>"}})


if __name__ == "__main__":
    torch.manual_seed(7)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    safetensors()
    pytorch()
    folder(ggufs())
    save_file(EXPECTED, OUT / "expected.safetensors")
    sizes = {path.relative_to(OUT): path.stat().st_size for path in sorted(OUT.rglob("*")) if path.is_file()}
    print("\n".join(f"{size:7} {path}" for path, size in sizes.items()))
    print(sum(sizes.values()), "bytes")
