#!/usr/bin/env python3
"""Writes reference values of BLEU, chrF, ROUGE and self-BLEU to tests/golden/text/copy_metrics.json.gz.

    python3 -m venv build/golden
    build/golden/bin/pip install sacrebleu==2.6.0 rouge-score==0.1.2 nltk==3.10.4 regex==2026.11.19 tokenizers==0.23.3
    scripts/fetch_data.py reviews-en reviews-zh
    build/golden/bin/python scripts/golden/copy_metrics.py

1,000 pairs of a hypothesis and its references from English and Chinese reviews, mixed, random and broken texts. Digests
cover more texts, which the tests generate as well. Deterministic: a second run writes the same bytes.
"""

import gzip
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from random_texts import Random, random_text, split_texts, sweep_texts
from rouge_score import rouge_scorer
from rouge_score.tokenize import tokenize as rouge_tokenize
from sacrebleu.metrics import BLEU, CHRF
from tokenizers import normalizers

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "tests" / "golden" / "text" / "copy_metrics.json.gz"
PACKAGES = ("sacrebleu", "rouge-score", "nltk", "regex")

TOKENIZERS = ("none", "13a", "zh", "char", "intl")
BLEU_CONFIGS = [{"tokenize": name} for name in TOKENIZERS]
BLEU_CONFIGS += [
    {"tokenize": "zh", "smooth_method": "none"},
    {"tokenize": "zh", "smooth_method": "floor"},
    {"tokenize": "13a", "smooth_method": "add-k"},
    {"tokenize": "char", "smooth_method": "floor", "smooth_value": 0.5, "max_ngram_order": 2},
    {"tokenize": "intl", "smooth_method": "add-k", "smooth_value": 0.25, "lowercase": True},
    {"tokenize": "13a", "max_ngram_order": 7, "lowercase": True},
]
CHRF_CONFIGS = [
    {},
    {"word_order": 2},
    {"word_order": 1, "lowercase": True, "beta": 3},
    {"char_order": 3, "whitespace": True},
    {"word_order": 2, "eps_smoothing": True},
]
ROUGE_TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
ROUGE_CONFIGS = [
    {"tokenizer": "rouge", "stemmer": False},
    {"tokenizer": "rouge", "stemmer": True},
    {"tokenizer": "zh", "stemmer": False},
    {"tokenizer": "char", "stemmer": False},
]

MARKS = [
    ".",
    ",",
    "!",
    "?",
    " - ",
    "，",
    "。",
    "！",
    "、",
    "\u3000",
    "\n",
    "\n\n",
    " ",
    "\t",
    "…",
    "€",
    "％",
    "+",
    "@",
    "/",
]
MARKS += [
    "1,000.5",
    "3.",
    ".5",
    "2-1",
    "a.b",
    "&amp;lt;",
    "&quot;",
    "<skipped>",
    "-\n",
    "１２",
    "٣,",
    "Ⅻ.",
    "½.",
    "ΟΔΟΣ ",
    "İ",
]
EDGES = [
    "",
    " ",
    "\n",
    "\u3000",
    ".",
    "。",
    "a",
    "好",
    "...",
    "a.",
    ".a",
    "1.",
    "1,2",
    "-1-",
    "it's",
    "(hi)",
    "''",
    "!!",
    "\ufffd",
]

# Parts of words with all suffixes that Porter's algorithm knows.
LETTERS = "aeiouyaeioyybcdfgklmnprstwxz19"
SUFFIXES = """sses ies ss s ied eed ed ing at bl iz y ational tional enci anci izer bli abli alli entli eli ousli
ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize
iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll"""


def lines_of(path: str, field: int = 0) -> list[str]:
    lines = (ROOT / "data" / path).read_text(encoding="utf-8", errors="replace").split("\n")
    return [line.split("\t")[field] for line in lines if len(line.split("\t")) > field]


def one_of(random: Random, values):
    return values[random.below(len(values))]


def snippet(random: Random, lines: list[str], longest: int) -> str:
    text = one_of(random, lines)
    size = 1 + random.below(longest)
    begin = random.below(max(1, len(text) - size + 1))
    return text[begin : begin + size]


def changed(random: Random, text: str) -> str:
    """The text with some of its words, or characters if it has few words, left out, repeated, swapped or replaced."""
    parts = text.split(" ") if text.count(" ") > 3 else list(text)
    glue = " " if text.count(" ") > 3 else ""
    for _ in range(random.below(6)):
        if not parts:
            break
        at = random.below(len(parts))
        kind = random.below(5)
        if kind == 0:
            del parts[at]
        elif kind == 1:
            parts.insert(at, parts[random.below(len(parts))])
        elif kind == 2:
            parts[at] = one_of(random, MARKS)
        elif kind == 3:
            parts[at] = parts[at].upper()
        else:
            parts[at:] = parts[at:][::-1]
    return glue.join(parts)


def make_pairs(random: Random) -> list[tuple[bytes, list[bytes]]]:
    """(hypothesis, references) as UTF-8, which is broken in some of them."""
    chinese = lines_of("reviews-zh/pos.txt") + lines_of("reviews-zh/neg.txt")
    english = lines_of("reviews-en/amazonReviewSnippets_GroundTruth.txt", 2)
    english += lines_of("reviews-en/movieReviewSnippets_GroundTruth.txt", 2)
    pairs = []
    for i in range(1000):
        if i % 10 < 4:
            text = snippet(random, chinese, 24)
        elif i % 10 < 7:
            text = snippet(random, english, 60)
        elif i % 10 < 8:
            text = snippet(random, chinese, 10) + one_of(random, MARKS) + snippet(random, english, 20)
        elif i % 10 < 9:
            text = random_text(random, broken=False).decode()
        else:
            text = one_of(random, EDGES)
        texts = [changed(random, text) for _ in range(2 + (i % 7 == 0) + (i % 21 == 0))]
        if i % 10 == 9 and random.below(2):
            texts[1] = text
        encoded = [each.encode() for each in texts]
        if i % 10 == 8:
            encoded[0] = random_text(random, broken=True)
            encoded[1] = encoded[0] + one_of(random, [b"", b"\xe5\xa5", b" \xff", b"\xed\xa0\x80", "好".encode()])
        elif i % 50 == 3 and encoded[0]:
            encoded[0] = encoded[0][:-1]
        pairs.append((encoded[0], encoded[1:]))
    return pairs


def stored(text: bytes):
    try:
        return text.decode()
    except UnicodeDecodeError:
        return {"hex": text.hex()}


def rounded(value: float) -> float:
    return float(f"{value:.13g}")


def reference_columns(references: list[list[str]]) -> list[list[str | None]]:
    most = max(map(len, references))
    return [[each[i] if i < len(each) else None for each in references] for i in range(most)]


def bleu(config: dict, hypotheses: list[str], references: list[list[str]]) -> dict:
    metric = BLEU(**config)
    corpus = metric.corpus_score(hypotheses, reference_columns(references))
    single = BLEU(**config, effective_order=True)
    return {
        "config": config,
        "corpus": rounded(corpus.score),
        "precisions": [rounded(each) for each in corpus.precisions],
        "brevity_penalty": rounded(corpus.bp),
        "lengths": [corpus.sys_len, corpus.ref_len],
        "signature": str(metric.get_signature()),
        "texts": [rounded(single.sentence_score(*pair).score) for pair in zip(hypotheses, references)],
        "signature_of_texts": str(single.get_signature()),
    }


def chrf(config: dict, hypotheses: list[str], references: list[list[str]]) -> dict:
    metric = CHRF(**config)
    corpus = metric.corpus_score(hypotheses, reference_columns(references))
    return {
        "config": config,
        "name": corpus.name,
        "corpus": rounded(corpus.score),
        "signature": str(metric.get_signature()),
        "texts": [rounded(metric.sentence_score(*pair).score) for pair in zip(hypotheses, references)],
    }


class LowercaseTokenizer:
    def __init__(self, name: str):
        self.tokenizer = BLEU(tokenize=name).tokenizer

    def tokenize(self, text: str) -> list[str]:
        return self.tokenizer(text.lower().rstrip()).split()


def rouge(config: dict, hypotheses: list[str], references: list[list[str]]) -> dict:
    other = None if config["tokenizer"] == "rouge" else LowercaseTokenizer(config["tokenizer"])
    scorer = rouge_scorer.RougeScorer(ROUGE_TYPES, use_stemmer=config["stemmer"], tokenizer=other)
    scores = [scorer.score_multi(theirs, ours) for ours, theirs in zip(hypotheses, references)]
    mean = {
        name: [rounded(sum(each[name][i] for each in scores) / len(scores)) for i in range(3)] for name in ROUGE_TYPES
    }
    f1 = {name: [rounded(each[name].fmeasure) for each in scores] for name in ROUGE_TYPES}
    return {"config": config, "mean": mean, "f1": f1}


def self_bleu(texts: list[str], config: dict) -> float:
    metric = BLEU(**config, effective_order=True)
    scores = [metric.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return rounded(sum(scores) / len(scores))


def sha256(tokenized) -> str:
    digest = hashlib.sha256()
    for tokens in tokenized:
        digest.update("\n".join(tokens).encode() + b"\0")
    return digest.hexdigest()


def random_words(count: int):
    random, suffixes = Random(3), SUFFIXES.split()
    for _ in range(count):
        word = "".join(one_of(random, LETTERS) for _ in range(1 + random.below(6)))
        yield word + "".join(one_of(random, suffixes) for _ in range(random.below(4)))


def digests() -> dict:
    random = Random(1)
    texts = [random_text(random, broken=i % 2 == 1).decode("utf-8", "replace") for i in range(5000)]
    texts += [*split_texts(), *sweep_texts()]
    found = {
        name: sha256(BLEU(tokenize=name).tokenizer(text.rstrip()).split() for text in texts) for name in TOKENIZERS
    }
    found["rouge"] = sha256(rouge_tokenize(text, None) for text in texts)
    stem = PorterStemmer().stem
    found["porter"] = sha256([stem(word)] for word in random_words(100000))
    return found


def lowercase() -> dict:
    """Lower case of all code points. The tables of tokenizers, which the tests use, know letters that Python does not."""
    other = normalizers.Lowercase().normalize_str
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    newer = [code for code in codes if other(chr(code)) != chr(code).lower()]
    known = sorted({*codes} - {*newer})
    contexts = (f"{chr(c)} aΣ{chr(c)} aΣ{chr(c)}b {chr(c)}Σ A{chr(c)}Σ A{chr(c)}Σ{chr(c)}.".lower() for c in known)
    return {"newer": newer, "digest": sha256([text] for text in contexts)}


def main() -> None:
    pairs = make_pairs(Random(5))
    hypotheses = [ours.decode("utf-8", "replace") for ours, _ in pairs]
    references = [[each.decode("utf-8", "replace") for each in theirs] for _, theirs in pairs]
    golden = {
        "made_with": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "pairs": [[stored(ours), [stored(each) for each in theirs]] for ours, theirs in pairs],
        "bleu": [bleu(config, hypotheses, references) for config in BLEU_CONFIGS],
        "chrf": [chrf(config, hypotheses, references) for config in CHRF_CONFIGS],
        "rouge": [rouge(config, hypotheses, references) for config in ROUGE_CONFIGS],
        "self_bleu": [
            [{"tokenize": name}, size, self_bleu(hypotheses[:size], {"tokenize": name})]
            for name in TOKENIZERS
            for size in (2, 3, 100)
        ],
        "digests": digests(),
        "lowercase": lowercase(),
    }
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    OUTPUT.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes, {len(text.encode())} uncompressed")


if __name__ == "__main__":
    main()
