#!/usr/bin/env python3
"""Writes tests/golden/text/: reference encodings by Hugging Face's tokenizers, for tests/datasets/text_*_test.cpp.

    python3 -m venv build/golden && build/golden/bin/pip install tokenizers==0.23.3
    scripts/fetch_data.py minilm reviews-en reviews-zh
    build/golden/bin/python scripts/golden/wordpiece.py

    vocab.txt, tokenizer.json   a vocabulary of 3,000 pieces, trained by the reference on both review corpora
    cases.json                  texts with ids, offsets, type ids and masks, for many variants of tokenizer.json
    trainer.json                vocabularies that the reference trains on words with distinct counts
    digests.json                SHA-256 of encodings too large to commit; the tests generate the same texts

A digest is the SHA-256 of the concatenated hexadecimal SHA-256 digests of blocks of 1,000 rows. A row is its number of
tokens, ids and offsets (begin, end), 4 bytes each, little endian, then type ids and special tokens mask, 1 byte each.
"""

import hashlib
import json
import struct
from pathlib import Path

from random_texts import Random, random_text, sweep_texts
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "text"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def lines(data: bytes, field: int | None) -> list[bytes]:
    """The lines of a file; with `field`, that tab-separated field of each line that has it."""
    rows = data.split(b"\n")
    return rows if field is None else [row.split(b"\t")[field] for row in rows if row.count(b"\t") >= field]


def english() -> list[bytes]:
    names = ("amazonReviewSnippets_GroundTruth.txt", "movieReviewSnippets_GroundTruth.txt")
    return [line for name in names for line in lines((ROOT / "data" / "reviews-en" / name).read_bytes(), 2)]


def chinese() -> list[bytes]:
    return [
        line for name in ("pos.txt", "neg.txt") for line in lines((ROOT / "data/reviews-zh" / name).read_bytes(), None)
    ]


def mixed(en: list[bytes], zh: list[bytes]) -> list[bytes]:
    """20 MB of lines with English, Chinese and special characters, some of them invalid UTF-8."""
    random, size, texts = Random(20), 0, []
    while size < 20_000_000:
        first, second = en[random.below(len(en))], zh[random.below(len(zh))]
        texts.append(first + random_text(random, True) + second)
        size += len(texts[-1])
    return texts


def row(encoding) -> bytes:
    count = len(encoding.ids)
    flat = [place for pair in encoding.offsets for place in pair]
    numbers = struct.pack(f"<I{count}i{2 * count}I", count, *encoding.ids, *flat)
    return numbers + bytes(encoding.type_ids) + bytes(encoding.special_tokens_mask)


def digest(rows) -> str:
    blocks, rows = [], list(rows)
    for at in range(0, len(rows), 1000):
        blocks.append(hashlib.sha256(b"".join(rows[at : at + 1000])).hexdigest())
    return hashlib.sha256("".join(blocks).encode()).hexdigest()


def encode_all(tokenizer: Tokenizer, texts, pairs=None, special=True):
    texts = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts]
    if pairs is not None:
        texts = list(zip(texts, (pair.decode("utf-8", "replace") for pair in pairs)))
    for at in range(0, len(texts), 1000):
        for encoding in tokenizer.encode_batch(texts[at : at + 1000], add_special_tokens=special):
            yield row(encoding)


def patched(base: dict, patch: dict) -> dict:
    """JSON merge patch (RFC 7396)."""
    made = dict(base)
    for key, value in patch.items():
        if value is None and key in ("type",):
            made.pop(key, None)
        elif isinstance(value, dict) and isinstance(made.get(key), dict):
            made[key] = patched(made[key], value)
        else:
            made[key] = value
    return made


def make_vocabulary() -> dict:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=SPECIAL, limit_alphabet=1200, show_progress=False
    )
    texts = sorted({text.decode("utf-8", "replace") for text in english() + chinese()})
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.get_vocab()


def base_json(vocabulary: dict) -> dict:
    def special(name, type_id=0):
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    def sequence(name, type_id=0):
        return {"Sequence": {"id": name, "type_id": type_id}}

    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    single = [special("[CLS]"), sequence("A"), special("[SEP]")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[name], "content": name, **flags} for name in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special("[SEP]", 1)],
            "special_tokens": {
                name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def normalizer_patch(**flags) -> dict:
    return {"normalizer": flags}


def variants(base: dict) -> dict[str, dict]:
    next_id = len(base["model"]["vocab"])
    off = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    added = [
        {"content": "Foo"},
        {"content": "<l>", "lstrip": True, "normalized": False},
        {"content": "<r>", "rstrip": True, "special": True, "normalized": False},
        {"content": "<b>", "lstrip": True, "rstrip": True},
        {"content": "<w>", "single_word": True, "normalized": False},
        {"content": "wé", "single_word": True},
        {"content": " sp", "normalized": False},
        {"content": "[MASK]x", "normalized": False},
        {"content": "中国", "normalized": True},
        {"content": "fo", "normalized": False, "special": True},
        {"content": "É", "special": True},
    ]
    tokens = []
    for token in added:
        known = base["model"]["vocab"].get(token["content"])
        tokens.append({"id": next_id if known is None else known, **off, **token})
        next_id += known is None
    tokens = {"added_tokens": base["added_tokens"] + tokens}
    everything_off = normalizer_patch(
        clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False
    )
    ids = base["model"]["vocab"]
    bert = {"type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]}
    found = {"as it is": {}}
    for bits in range(15):
        flags = {
            "clean_text": bool(bits & 1),
            "handle_chinese_chars": bool(bits & 2),
            "strip_accents": bool(bits & 4),
            "lowercase": bool(bits & 8),
        }
        found["with " + (", ".join(name for name, value in flags.items() if value) or "nothing")] = normalizer_patch(
            **flags
        )
    return found | {
        "cased, accents as case": normalizer_patch(lowercase=False),
        "added tokens": tokens,
        "added tokens, nothing normalised": tokens | everything_off,
        "BertProcessing": {"post_processor": bert},
        "no post-processor": {"post_processor": None},
        "no decoder": {"decoder": None},
        "no cleanup": {"decoder": {"cleanup": False}},
        "short words": {"model": {"max_input_chars_per_word": 3}},
        "no continuing prefix": {"model": {"continuing_subword_prefix": ""}},
    }


WORDS = ["Foo", "foo", " ", "  ", "<l>", "<r>", "<b>", "<w>", "wé", "we", "WE", "x", "_", "́", "中国", "中", "国"]
WORDS += ["[MASK]", "[MASK]x", "fo", "é", "É", " sp", "sp", ".", "\t", "　", "1", "٣", "\u00a0", "\u200d"]
WORDS += ["[CLS]", "�", "don't", " n't", " 's", "unaffable", "喜欢", "!", "好", "不错"]


def worded(random: Random) -> str:
    return "".join(WORDS[random.below(len(WORDS))] for _ in range(1 + random.below(13)))


def cases(base: dict) -> list[dict]:
    random, found = Random(3), []
    plain = [
        "",
        " ",
        "Hello, World! I can't wait.",
        "我喜欢吃苹果，不喜欢吃香蕉。",
        "Müller's naïve CAFÉ",
        "a\u200bb\u00adc",
        "　全角 ＡＢＣ",
    ]
    plain += [
        "👩‍👩‍👧 emoji 😀!",
        "한국어 텍스트",
        "[CLS] x [SEP]",
        "x" * 101 + " " + "x" * 100,
        "İstanbul ΣΑΣ ẞ",
        "hindi हिन्दी thai ไทย",
    ]
    for name, patch in variants(base).items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        rows = []
        texts = [(text, None, True, None) for text in (plain if "with" not in name else plain[-3:])]
        texts += [(worded(random), None, True, None) for _ in range(4)]
        texts += [(worded(random), worded(random), bool(i % 2), None) for i in range(4)]
        strategies = ("longest_first", "only_first", "only_second")
        for i in range(12 if "with" not in name else 0):
            truncation = {
                "max_length": 3 + random.below(9),
                "strategy": strategies[i % 3],
                "side": ("right", "left")[random.below(2)],
            }
            texts.append((worded(random), worded(random) if i % 4 else None, bool(random.below(4)), truncation))
        for text, pair, special, truncation in texts:
            case = {"text": text, "pair": pair, "special_tokens": special, "truncation": truncation}
            if truncation:
                tokenizer.enable_truncation(
                    truncation["max_length"], strategy=truncation["strategy"], direction=truncation["side"]
                )
            try:
                encoding = tokenizer.encode(text, pair, add_special_tokens=special)
                case |= {
                    "ids": encoding.ids,
                    "offsets": encoding.offsets,
                    "type_ids": encoding.type_ids,
                    "special_mask": encoding.special_tokens_mask,
                    "decoded": tokenizer.decode(encoding.ids, False),
                    "without_special": tokenizer.decode(encoding.ids, True),
                }
            except Exception as error:  # noqa: BLE001 - the only class that tokenizers raises, here for truncation to no tokens
                case["error"] = str(error)
            tokenizer.no_truncation()
            rows.append(case)
        found.append({"name": name, "patch": patch, "cases": rows})
    return found


def digests(base: dict) -> dict:
    default = Tokenizer.from_str(json.dumps(base))
    found = {"normalized": {}, "random": {}, "sweep": digest(encode_all(default, sweep_texts()))}
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    for flag in ("all", *off):
        options = dict.fromkeys(off, True) if flag == "all" else off | {flag: True}
        normalize = normalizers.BertNormalizer(**options).normalize_str
        split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
        found["normalized"][flag] = digest(
            "\n".join([normalized, *(piece for piece, _ in split(normalized)), ""]).encode()
            for normalized in map(normalize, sweep_texts())
        )
    random = Random(1)
    texts = [random_text(random, i % 2 == 1) for i in range(100_000)]
    for name, patch in variants(base).items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        some = texts if name == "as it is" else texts[:5000]
        found["random"][name] = digest(encode_all(tokenizer, some))
        found["random"][f"{name}, in pairs"] = digest(encode_all(tokenizer, some[:5000:2], some[1:5000:2]))
    minilm = Tokenizer.from_file(str(ROOT / "data" / "minilm" / "tokenizer.json"))
    minilm.no_padding()
    minilm.no_truncation()
    en, zh = english(), chinese()
    found["corpora"] = {
        "reviews-en": digest(encode_all(minilm, en)),
        "reviews-zh": digest(encode_all(minilm, zh)),
        "mixed": digest(encode_all(minilm, mixed(en, zh))),
    }
    return found


def trainer() -> dict:
    """The reference breaks ties between equally frequent pairs by ids that depend on hash table order. Each case therefore
    uses the largest vocabulary size at which permuting the letters does not change the result."""
    random, words = Random(9), {}
    letters = "abcdefgh"
    while len(words) < 150:
        word = "".join((letters + "能質-")[random.below(11)] for _ in range(2 + random.below(6)))
        words[word] = 1 + random.below(3000)

    def train(size: int, min_frequency: int, limit: int, turn: int) -> tuple[str, ...]:
        places = str.maketrans(letters, letters[turn:] + letters[:turn])
        back = str.maketrans(letters[turn:] + letters[:turn], letters)
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        options = {"limit_alphabet": limit} if limit else {}
        wordpiece = trainers.WordPieceTrainer(
            vocab_size=size, min_frequency=min_frequency, special_tokens=SPECIAL, show_progress=False, **options
        )
        texts = (word.translate(places) for word, count in words.items() for _ in range(count))
        tokenizer.train_from_iterator(texts, wordpiece)
        return tuple(sorted(token.translate(back) for token in tokenizer.get_vocab()))

    rows = []
    for min_frequency, limit in ((2, 0), (4000, 0), (2, 6)):
        for size in range(120, 20, -4):
            found = {train(size, min_frequency, limit, turn) for turn in range(8)}
            if len(found) == 1:
                break
        assert len(found) == 1
        options = {"vocabulary_size": size, "min_frequency": min_frequency, "limit_alphabet": limit}
        rows.append(options | {"vocabulary": list(found.pop())})
        print(f"trainer: {options}, {len(rows[-1]['vocabulary'])} pieces")
    return {"words": words, "cases": rows}


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    vocab = GOLDEN / "vocab.txt"
    if not vocab.exists():  # the trainer's ties depend on hash table order, so a second run may find other pieces
        found = make_vocabulary()
        vocab.write_text("".join(f"{token}\n" for token in sorted(found, key=found.get)), encoding="utf-8")
    vocabulary = {token: i for i, token in enumerate(vocab.read_text(encoding="utf-8").split("\n")[:-1])}
    base = base_json(vocabulary)
    (GOLDEN / "tokenizer.json").write_text(json.dumps(base, ensure_ascii=False) + "\n", encoding="utf-8")
    groups = [
        json.dumps({"name": group["name"], "patch": group["patch"]}, ensure_ascii=False)[:-1]
        + ', "cases": [\n'
        + ",\n".join(json.dumps(case, ensure_ascii=False) for case in group["cases"])
        + "]}"
        for group in cases(base)
    ]
    (GOLDEN / "cases.json").write_text("[\n" + ",\n".join(groups) + "\n]\n", encoding="utf-8")
    (GOLDEN / "digests.json").write_text(
        json.dumps(digests(base), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (GOLDEN / "trainer.json").write_text(json.dumps(trainer(), ensure_ascii=False) + "\n", encoding="utf-8")
    for path in sorted(GOLDEN.iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
