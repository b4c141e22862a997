"""ask_tokenizer.py TEXTS ANSWER FOLDER...: opens tokenizers with AutoTokenizer and writes for each its special tokens and the ids
and decoded text of each text as JSON. Texts are bytes, each terminated by a zero byte."""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

texts, answer, *folders = sys.argv[1:]
found = []
for folder in folders:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in Path(texts).read_bytes().split(b"\0")[:-1]:
        ids = tokenizer(text.decode("utf-8", "replace"))["input_ids"]
        rows.append({"ids": ids, "text": tokenizer.decode(ids, clean_up_tokenization_spaces=False)})
    special = {role: getattr(tokenizer, role) for role in ("bos_token", "eos_token", "pad_token")}
    found.append({"rows": rows, "size": len(tokenizer), **special})
Path(answer).write_text(json.dumps(found))
