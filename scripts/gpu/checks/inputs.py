"""Inputs of the checks: texts, models with random weights, tokenized files."""

from __future__ import annotations

import random
from pathlib import Path

from session import Session

COLUMNS = {"format": "tsv", "quote": "", "header": False, "column_names": ["id", "sentiment", "text"]}
FIRST_WORD = (
    114  # id of w0 in a BERT folder without texts: special tokens, characters and their continuations are before it
)


def texts(session: Session) -> Path:
    """A file of reviews with the columns above; fewer of them in a rehearsal."""
    whole = session.data("reviews-en") / "amazonReviewSnippets_GroundTruth.txt"
    if not session.cpu and not session.quick:
        return whole
    few = session.work / "texts.txt"
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    few.write_text("".join(lines[: 200 if session.quick else 1000]), encoding="utf-8")
    return few


def source(session: Session) -> dict:
    return {"path": str(texts(session)), **COLUMNS}


def model_folder(session: Session, model: str, size: str, *words: object) -> Path:
    """A model of that size, small in a quick run. Models without more words are kept for the checks that follow."""
    size = "small" if session.quick else size
    folder = session.work / model if words else session.scratch / f"{model}-{size}"
    if not folder.exists():
        partial = session.work / f"{model}.partial"
        session.python("model_folders.py", model, partial, "--size", size, *words)
        partial.rename(folder)
    return folder


def bert_of_texts(session: Session, *words: str) -> Path:
    return model_folder(session, "bert", "mini", "--texts", texts(session), *words)


def tokenized(session: Session, tokenizer: Path, fields: dict) -> Path:
    """Texts tokenized for training; `fields` of the config says for what."""
    data = session.work / f"{tokenizer.name}.h5"
    config = {"task": "tokenize", "split": {"method": "random", "test": 0.1, "validation": 0.1}, "max_length": 128}
    session.task(
        "sartor-train", session.config("tokenize", config | fields | {"tokenizer": str(tokenizer), "output": str(data)})
    )
    return data


def tokenized_classes(session: Session, tokenizer: Path, table: dict) -> Path:
    label = {"column": "sentiment", "negative_below": 0, "positive_from": 0.000001}
    fields = {"data": {"sources": [table], "text": "{text}", "label": label}}
    return tokenized(session, tokenizer, fields)


def tokenized_texts(session: Session, tokenizer: Path, table: dict) -> Path:
    fields = {"data": {"sources": [table], "text": "{text}", "label": {"kind": "none"}}, "generation": {"eos": True}}
    return tokenized(session, tokenizer, fields)


def rows_file(session: Session, name: str, rows: list[list[int]]) -> Path:
    path = session.work / name
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return path


def word_texts(session: Session, rows: int, shortest: int, longest: int) -> tuple[Path, Path, dict]:
    """Texts of random words, each a token of a BERT folder without texts, of shortest to longest tokens with [CLS] and
    [SEP]. Returns the files TEXTS.ids and TEXTS.txt, and a table of the texts with labels."""
    draw = random.Random(7)
    words = 100 if session.quick else 7900  # fewer than the vocabulary of any size has
    numbers = [[draw.randrange(words) for _ in range(draw.randint(shortest, longest) - 2)] for _ in range(rows)]
    ids = rows_file(session, "words.ids", [[2, *(FIRST_WORD + number for number in row), 3] for row in numbers])
    lines = [" ".join(f"w{number}" for number in row) for row in numbers]
    (session.work / "words.txt").write_text("".join(f"{line}\n" for line in lines))
    table = session.work / "words.tsv"
    table.write_text("".join(f"{i}\t{row[0] % 2 - 0.5}\t{line}\n" for i, (row, line) in enumerate(zip(numbers, lines))))
    return ids, session.work / "words.txt", {"path": str(table), **COLUMNS}


def prompts(session: Session, name: str, rows: int, prompt: int, new: int, vocabulary: int) -> Path:
    """Rows of a number of new tokens and random ids of a prompt, for generate_bench and its peer."""
    draw = random.Random(7)
    made = [[new, *(draw.randrange(vocabulary - 1) for _ in range(prompt))] for _ in range(rows)]
    return rows_file(session, name, made)
