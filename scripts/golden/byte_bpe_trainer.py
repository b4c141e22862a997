#!/usr/bin/env python3
"""Writes tests/golden/text/byte_bpe_trainer.json: vocabularies by tokenizers' BpeTrainer, for
tests/datasets/text_byte_bpe_trainer_test.cpp.

    python3 -m venv build/golden && build/golden/bin/pip install tokenizers==0.23.3
    scripts/fetch_data.py reviews-en reviews-zh
    build/golden/bin/python scripts/golden/byte_bpe_trainer.py

`words` are random words of few letters with small counts: nearly all merges are ties, and many tokens can be made in two ways.
`cases` have all tokens and merges, `corpora` their SHA-256: the tokens by id, then the merges with a space, each with a newline.
"""

import hashlib
import json
import random
import sys
import time

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from wordpiece import GOLDEN, chinese, english

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|endoftext|>"]
SETS = [("ab", 40, 9), ("abc", 60, 8), ("aé", 50, 7), ("能質x", 80, 6), ("a", 25, 30), ("ab \n1", 90, 12)]


def pre_tokenizer(pattern: str, add_prefix_space: bool = False):
    level = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=pattern in ("gpt2", "digits"))
    if pattern in ("gpt2", "none"):
        return level
    if pattern == "digits":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level])
    regex = Regex(LLAMA3 if pattern == "llama3" else LLAMA3.replace("{1,3}", ""))
    return pre_tokenizers.Sequence([pre_tokenizers.Split(regex, "isolated"), level])


def train(texts, vocabulary_size, min_frequency, pattern="gpt2", special=SPECIAL, max_length=None, prefix_space=False):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(pattern, prefix_space)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=min_frequency,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=max_length,
        show_progress=False,
    )
    begun = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    seconds = time.perf_counter() - begun
    ids = tokenizer.get_vocab()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return sorted(ids, key=ids.get), [" ".join(merge) for merge in merges], seconds


def words(letters: str, count: int, longest: int) -> dict[str, int]:
    draw = random.Random(letters)
    found = {}
    while len(found) < count:
        found["".join(draw.choices(letters, k=draw.randint(1, longest)))] = draw.randint(1, 4)
    return found


def cases() -> list[dict]:
    found = []
    for letters, count, longest in SETS:
        counted = words(letters, count, longest)
        texts = [word for word, times in counted.items() for _ in range(times)]
        for options in (
            {"vocabulary_size": 420, "min_frequency": 1},
            {"vocabulary_size": 300, "min_frequency": 2, "pattern": "qwen2"},
            {"vocabulary_size": 340, "min_frequency": 1, "special": ["<|endoftext|>", "ab", "<pad>", "a"]},
            {"vocabulary_size": 400, "min_frequency": 1, "max_length": 5},
            {"vocabulary_size": 300, "min_frequency": 1, "max_length": 1},
            {"vocabulary_size": 330, "min_frequency": 3, "pattern": "none", "prefix_space": True},
            {"vocabulary_size": 20, "min_frequency": 1},
        ):
            tokens, merges, _ = train(texts, **options)
            for turn in range(5):  # the reference must not depend on the order of texts and of its hash tables
                random.Random(turn).shuffle(texts)
                assert train(texts, **options)[:2] == (tokens, merges), (letters, options)
            defaults = {"pattern": "gpt2", "special": SPECIAL, "max_length": None, "prefix_space": False}
            found.append({"words": counted, **defaults, **options, "tokens": tokens, "merges": merges})
    return found


def corpora() -> list[dict]:
    found = []
    sets = {"reviews-en": english(), "reviews-zh": chinese()}
    for name, pattern, size in (
        ("reviews-zh", "gpt2", 8000),
        ("reviews-zh", "qwen2", 8000),
        ("reviews-en", "gpt2", 8000),
        ("reviews-en", "llama3", 8000),
        ("reviews-en", "digits", 4000),
    ):
        texts = [text.decode("utf-8", "replace") for text in sets[name]]
        tokens, merges, seconds = train(texts, size, 2, pattern)
        lines = "".join(f"{line}\n" for line in tokens + merges)
        digest = hashlib.sha256(lines.encode()).hexdigest()
        found.append({"corpus": name, "pattern": pattern, "vocabulary_size": size, "sha256": digest})
        print(f"{name}, {pattern}: {len(tokens)} tokens, {len(merges)} merges, {seconds:.2f} s")
    return found


def main() -> None:
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases())
    path = GOLDEN / "byte_bpe_trainer.json"
    path.write_text(f'{{"cases": [\n{rows}],\n"corpora": {json.dumps(corpora(), indent=1)}}}\n', encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
