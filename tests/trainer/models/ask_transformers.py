"""ask_transformers.py FOLDER TEXTS ANSWER: loads a Hugging Face folder with AutoTokenizer and AutoModelForSequenceClassification
and writes the token ids and logits of each text, and the labels by id, as JSON. Texts are bytes, each terminated by a zero byte."""

import json
import sys
from pathlib import Path

import torch
import transformers

folder, texts, answer = sys.argv[1:]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model, found = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
wrong = {kind: sorted(map(str, names)) for kind, names in found.items() if names}
assert not wrong, f"{folder}: {wrong}"
model.eval()
rows = []
with torch.inference_mode():
    for text in Path(texts).read_bytes().split(b"\0")[:-1]:
        words = tokenizer(text.decode("utf-8", "replace"), truncation=True, return_tensors="pt")
        logits = model(**words).logits[0].double().tolist()
        rows.append({"ids": words["input_ids"][0].tolist(), "logits": logits})
labels = [model.config.id2label[label] for label in range(model.config.num_labels)]
Path(answer).write_text(json.dumps({"labels": labels, "rows": rows}))
