"""Fixture for crates/evaluation/tests/captioning.rs: what the COCO caption evaluation makes of captions.

    pip install pycocoevalcap==1.2                  # its tokenizer runs in Java
    python tests/reference/captioning.py            # writes tests/fixtures/captioning.json

`words` holds texts and their words; `corpora` holds items `[candidate, references]` and their scores. All text is split
by the tokenizer of the Penn Treebank itself, with punctuation removed, so the Rust side must find the same words.
"""

import json
import pathlib
import random

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "captioning.json"

WORDS = [
    "A man's dog isn't here.",
    "A black-and-white cat, sitting on a mat!",
    "red,blue;green:yellow",
    "it costs 3.50 or 1,000 dollars at 10:30.",
    "\"hello\" 'world' `x` “curly” ‘single’ «two»",
    "Don’t, can't, won't; I'm he'd we've they'll you're the dogs' and James's.",
    "what? no... yes--no - so … two–three em—dash",
    "the man 's dog is n't 12:30:45",
    "a T-shirt at 5 o'clock, a/b black & white",
    "naïve café Ärger ¡",
    "...",
    "3,5. -a a- a; b '",
]

# Each item: candidate, references.
BY_HAND = {
    "right": [
        ["a red circle on a table", ["A red circle on a table."]],
        ["two dogs run in the park", ["Two dogs run in the park"]],
    ],
    "one item": [["a man rides a horse", ["a man rides a brown horse", "someone on a horse"]]],
    "nothing alike": [
        ["one two three four five", ["six seven eight nine ten"]],
        ["alpha beta", ["gamma delta", "epsilon"]],
    ],
    "empty candidates": [
        ["", ["a dog", "the dog"]],
        ["a cat on a mat", ["a cat on the mat", "a cat"]],
        ["...", ["!"]],
        ["", ["", "a b"]],
    ],
    "all candidates empty": [["", ["a dog"]], ["", ["a cat", "cat"]]],
    "an empty reference": [["a dog", ["", "a dog runs"]], ["a cat", [""]]],
    "one word": [["dog", ["dog"]], ["cat", ["dog", "cat"]], ["cow", ["horse"]]],
    "two words": [["a dog", ["a dog"]], ["a cat", ["the cat", "a cat"]], ["a cow", ["a cow sits"]]],
    "repeated words": [
        ["the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]],
        ["a a b b a a b b", ["a b a b a b", "b b b b a"]],
    ],
    "as close": [["a b c d", ["a b c", "a b c d e"]], ["e f g h i", ["e f g h i j k", "e f g"]]],
    "short candidates": [
        ["a small", ["a small dog runs on green grass"]],
        ["two", ["two men with hats in a boat", "two men"]],
    ],
    "long candidates": [
        ["a dog and a dog and a dog and a cat and a dog", ["a dog", "a dog and a cat"]],
        ["x y z x y z x y z", ["x y z"]],
    ],
    "said by all": [
        ["a photo of a dog", ["a photo of a dog"]],
        ["a photo of a cat", ["a photo of a bird", "a photo of a cow"]],
    ],
    "written otherwise": [
        ["A man's dog isn't here.", ["a man's dog isn't here", "no dog"]],
        ["Red, blue and GREEN!", ["\"red, blue, and green\""]],
        ["The clock says 10:30", ["a clock -- 10:30, they say", "The clock says: 10:30."]],
    ],
}


def drawn(seed):
    """Captions of one vocabulary that is small enough for them to share much."""
    generator = random.Random(seed)
    nouns = "dog cat man's woman table t-shirt o'clock".split()
    others = "a a a the the red blue isn't on in with two, runs sits".split()

    def caption(least):
        words = generator.choices(nouns + others, k=generator.randint(least, 12))
        return (" ".join(words).capitalize() + generator.choice([" .", "", "!"])) if words else ""

    def near(text):
        words = text.split()
        for _ in range(generator.randint(0, 3)):
            if words:
                words[generator.randrange(len(words))] = generator.choice(nouns + others)
        return " ".join(words)

    items = []
    for _ in range(generator.randint(2, 12)):
        references = [caption(1) for _ in range(generator.randint(1, 5))]
        candidate = near(generator.choice(references)) if generator.random() < 0.7 else caption(0)
        items.append([candidate, references])
    return items


def tokenized(texts):
    """By text; the tokenizer loses empty lines."""
    texts = sorted({text for text in texts if text.strip()})
    words = PTBTokenizer().tokenize({text: [{"caption": text}] for text in texts})
    return {"": ""} | {text: words[text][0] for text in texts}


corpora = BY_HAND | {f"drawn {seed}": drawn(seed) for seed in range(12)}
captions = [text for items in corpora.values() for candidate, references in items for text in [candidate, *references]]
split = tokenized(WORDS + captions)


def scores(items):
    references = {i: [split[text] for text in item[1]] for i, item in enumerate(items)}
    candidates = {i: [split[item[0]]] for i, item in enumerate(items)}
    bleu = Bleu(4).compute_score(references, candidates, verbose=0)[0]
    found = {f"bleu_{n}": score for n, score in enumerate(bleu, 1)}
    found["rouge_l"] = Rouge().compute_score(references, candidates)[0]
    found["cider"] = Cider().compute_score(references, candidates)[0]
    found["accuracy"] = sum(candidates[i][0] in references[i] for i in candidates) / len(candidates)
    return {name: float(score) for name, score in found.items()}


made = {
    "words": [[text, split[text]] for text in WORDS],
    "corpora": [{"name": name, "items": items, "out": scores(items)} for name, items in corpora.items()],
}
text = {name: ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) for name, cases in made.items()}
lines = [f'"{name}":[\n{cases}\n]' for name, cases in text.items()]
OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
