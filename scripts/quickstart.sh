#!/usr/bin/env bash
# Sets up, builds, trains a model on 100,000 film ratings (MovieLens 100K) and prints ten recommendations for one user.
#   scripts/quickstart.sh [USER]
set -euo pipefail
cd "$(dirname "$0")/.."
user=${1:-196}
scripts/build.sh --target sartor-train sartor-infer
bin=build/release/bin

echo; echo "== Prepare: 100,000 ratings by 943 users, 20,000 of them held out"
build/venv/bin/python scripts/fetch_data.py ml-100k
$bin/sartor-train --config configs/ml-100k-prepare.yaml --overwrite

echo; echo "== Train: alternating least squares"
$bin/sartor-train --config configs/ml-100k-als.yaml --overwrite

echo; echo "== Recommend: ten films for user $user"
printf 'user\n%s\n' "$user" >build/quickstart-user.csv
$bin/sartor-infer --config configs/ml-100k-recommend.yaml \
  --set "users={path: build/quickstart-user.csv, column: user}" --set output=runs/quickstart.csv --overwrite
build/venv/bin/python scripts/show_table.py runs/quickstart.csv
