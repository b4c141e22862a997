#!/usr/bin/env bash
# Writes tests/golden/earlier/ with the programs of an earlier version: small files of each kind, which all later versions must open
# (tests/integration/earlier_files_test.cpp). Existing files are never regenerated; new kinds of files are added.
#   scripts/golden/make_earlier_files.sh FOLDER_OF_THE_EARLIER_PROGRAMS
set -euo pipefail
programs=$(realpath "$1")
cd "$(dirname "$0")/../../tests/golden"
mkdir earlier
cd earlier
export PATH=$programs:$PATH

python3 - <<'PYTHON'
import random

draw = random.Random(1)
with open("ratings.csv", "w") as table:
    table.write("user,item,rating,time\n")
    for user in range(30):
        for item in draw.sample(range(20), 9):
            taste = 3 + (1 if (user + item) % 3 == 0 else -1) + draw.choice([0, 0, 1])
            table.write(f"{'用户' if user % 2 else 'u'}{user},i{item},{taste},{1000 + user * 20 + item}\n")
with open("texts.tsv", "w") as table:
    table.write("text\tlabel\n")
    for row in range(60):
        words = ["很好", "喜欢", "太差", "失望"][row % 2 * 2 + row // 2 % 2]
        table.write(f"这个{['酒店', '手机', 'book'][row % 3]}{words}{'！' if row % 5 else '。'}\t{'坏' if row % 2 else '好'}\n")
PYTHON

train() { sartor-train --config /dev/stdin "$@"; }
infer() { sartor-infer --config /dev/stdin "$@"; }
data="data: {sources: [{path: texts.tsv, quote: ''}], label: {column: label}}
split: {test: 0.2, validation: 0.2}"
factorize="task: factorize
device: cpu
threads: 1
data: {path: prepared.h5}
model: {factors: 4, epochs: 5, regularization: 0.5}
checkpoint: {every: 1, keep: 5}"
shape="{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24, max_position_embeddings: 20}"

train <<CONFIG
task: prepare
source: {path: ratings.csv, columns: {user: user, item: item, value: rating, time: time}}
split: {method: random, test: 0.2, validation: 0.1, seed: 7}
output: prepared.h5
CONFIG
train <<<"$factorize
output: factors"
cp -r factors half_factors  # as after a kill in the fourth epoch
rm -r half_factors/checkpoints/epoch-00000[45] half_factors/{results.json,model}
sed -i 's/^output: factors$/output: half_factors/' half_factors/run.yaml
infer <<CONFIG
task: recommend
device: cpu
model: factors
k: 5
output: lists.csv
CONFIG
train <<CONFIG
task: vocabulary
$data
output: tokenizer
CONFIG
train <<CONFIG
task: tokenize
$data
tokenizer: tokenizer
max_length: 20
output: texts.h5
CONFIG
train <<CONFIG
task: pretrain
device: cpu
threads: 1
data: {path: texts.h5}
model: {tokenizer: tokenizer, shape: $shape}
training: {max_steps: 8, learning_rate: 0.01}
output: language_model
CONFIG
train <<CONFIG
task: classify
device: cpu
threads: 1
data: {path: texts.h5}
model: {path: language_model/model}
training: {max_steps: 8, learning_rate: 0.01}
checkpoint: {every: 4, keep: 2}
output: classifier
CONFIG
cp -r classifier half_classifier  # as after a kill after the first checkpoint
rm -r half_classifier/checkpoints/step-000008 half_classifier/{results.json,model,evaluation}
sed -i 's/^output: classifier$/output: half_classifier/' half_classifier/run.yaml
infer <<CONFIG
task: classify
device: cpu
model: classifier
source: {path: texts.tsv, quote: ''}
probabilities: true
output: scores.csv
CONFIG
infer <<CONFIG
task: embed
device: cpu
model: language_model/model
source: {path: texts.tsv, quote: ''}
output: embeddings.h5
CONFIG
rm -r {factors,language_model,classifier}/checkpoints classifier/evaluation half_factors/checkpoints/epoch-00000[12]
find . -name .lock -delete
