"""ask_tokenizers.py FOLDERS TEXTS ANSWER: opens Hugging Face folders, one per line, with AutoTokenizer and writes the token ids of
each text as JSON. Texts are bytes, each terminated by a zero byte."""

import json
import sys
from pathlib import Path

import transformers

folders, texts, answer = (Path(name) for name in sys.argv[1:])
rows = [text.decode("utf-8", "replace") for text in texts.read_bytes().split(b"\0")[:-1]]
found = []
for folder in folders.read_text(encoding="utf-8").splitlines():
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found.append([tokenizer(text).input_ids for text in rows])
answer.write_text(json.dumps(found))
