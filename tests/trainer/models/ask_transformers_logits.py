"""ask_transformers_logits.py ASKED ANSWER: loads Hugging Face folders with AutoModelForCausalLM and writes the logits of all
tokens as JSON. ASKED is a JSON array of {"folder": ..., "rows": [[token ids], ...]}; each row is a batch of its own."""

import json
import sys
from pathlib import Path

import torch
import transformers

asked, answer = map(Path, sys.argv[1:])
answers = []
for each in json.loads(asked.read_text()):
    model, found = transformers.AutoModelForCausalLM.from_pretrained(
        each["folder"], output_loading_info=True, attn_implementation="eager"
    )
    wrong = {kind: sorted(map(str, names)) for kind, names in found.items() if names}
    assert not wrong, f"{each['folder']}: {wrong}"
    assert model.dtype == torch.float32, model.dtype
    with torch.inference_mode():
        rows = [model(torch.tensor([row])).logits[0] for row in each["rows"]]
    answers.append(torch.cat(rows).double().flatten().tolist())
answer.write_text(json.dumps(answers))
