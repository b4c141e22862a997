"""Sentiment of Chinese reviews, learned from the training rows only: the published configs against character n-grams.

reviews_zh.py TOKENIZED_FILE    runs the peer and prints one line of JSON: logistic regression on TF-IDF of character 1- to 3-grams,
                                trained on the same rows, C chosen on the validation rows
"""

import json
import statistics
import sys
from pathlib import Path

from common import PROCESSORS, ROOT, WORK, fetch, last_json, peer_python, publish, run, train, train_once

SEEDS = (1, 2, 3)


def minutes_of(run: Path) -> float:
    """Duration of a training run in minutes, evaluations included."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return sum(json.loads(line)["seconds"] for line in lines) / 60


def reviews_zh(name: str) -> None:
    fetch("reviews-zh")
    folder = WORK / "reviews-zh"
    folder.mkdir(exist_ok=True)
    tokenizer, texts, beginnings = folder / "tokenizer", folder / "reviews.h5", folder / "beginnings.h5"
    train("reviews-zh-vocabulary", tokenizer)
    train("reviews-zh-tokenize", texts, tokenizer=tokenizer)
    train("reviews-zh-tokenize", beginnings, tokenizer=tokenizer, max_length=32)
    short, characters, language = (folder / stage for stage in ("short", "characters", "language"))
    train_once("reviews-zh-pretrain-short", short, data__path=beginnings, model__tokenizer=tokenizer)
    train_once("reviews-zh-pretrain", characters, data__path=texts, model__path=short / "model")
    train_once("reviews-zh-pretrain-spans", language, data__path=texts, model__path=characters / "model")
    classifiers = [folder / f"seed-{seed}" for seed in SEEDS]
    for seed, classifier in zip(SEEDS, classifiers):
        settings = {"data__path": texts, "model__path": language / "model", "training__seed": seed}
        train_once("reviews-zh-classify", classifier, **settings)
    found = [json.loads((classifier / "results.json").read_text()) for classifier in classifiers]
    peer = last_json(run(peer_python("peers-text"), __file__, texts))

    def mean(part: str) -> float:
        return round(statistics.mean(each[part]["accuracy"] for each in found), 4)

    publish(
        {
            "name": name,
            "metric": "accuracy",
            "value": mean("test"),
            "seeds": [round(each["test"]["accuracy"], 4) for each in found],
            "character n-grams": peer["test"],
            "validation": mean("validation"),
            "character n-grams, validation": peer["validation"],
            "character n-grams, C": peer["c"],
            "test rows": peer["rows"],
            f"minutes ({PROCESSORS} threads)": " + ".join(
                f"{minutes:.0f}"
                for minutes in (
                    *map(minutes_of, (short, characters, language)),
                    statistics.mean(map(minutes_of, classifiers)),
                )
            ),
        }
    )


def texts_of(tokenized, part: str) -> tuple[list[str], list[int]]:
    """Texts and classes of a split. The dataset `sources` numbers the lines of both files from 1."""
    names = [name.decode() for name in tokenized["labels"][:]]
    lines, classes = [], []
    for file, label in (("pos", "positive"), ("neg", "negative")):
        text = (ROOT / "data" / "reviews-zh" / f"{file}.txt").read_text("utf-8")
        mine = text.removesuffix("\n").split("\n")
        lines += mine
        classes += [names.index(label)] * len(mine)
    if len(lines) != json.loads(tokenized.attrs["provenance"])["rows"]["read"]:
        sys.exit("bench: the tokenized file was made from different texts")
    rows = tokenized[part]["sources"][:] - 1
    found = [classes[row] for row in rows]
    if found != tokenized[part]["labels"][:].argmax(1).tolist():
        sys.exit(f"bench: the labels of {part} do not match its texts")
    return [lines[row] for row in rows], found


def character_ngrams(path: Path) -> dict:
    import h5py
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    with h5py.File(path) as tokenized:
        parts = {part: texts_of(tokenized, part) for part in ("train", "validation", "test")}
    texts, classes = parts["train"]
    ngrams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    features = ngrams.fit_transform(texts)
    models = [LogisticRegression(C=c, max_iter=1000).fit(features, classes) for c in (1, 3, 10, 30)]

    def accuracy(model: LogisticRegression, part: str) -> float:
        return round(float(model.score(ngrams.transform(parts[part][0]), parts[part][1])), 4)

    best = max(models, key=lambda model: accuracy(model, "validation"))
    accuracies = {part: accuracy(best, part) for part in ("validation", "test")}
    return {**accuracies, "c": best.C, "rows": len(parts["test"][0])}


if __name__ == "__main__":
    print(json.dumps(character_ngrams(Path(sys.argv[1]))))
