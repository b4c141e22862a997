#!/usr/bin/env bash
# From a bare machine to recommendations: set-up, build, 100,000 real film ratings, a trained model, ten films for one user.
#   scripts/quickstart.sh [USER]
set -euo pipefail
cd "$(dirname "$0")/.."
user=${1:-196}
scripts/build.sh --target sartor-train sartor-infer
bin=build/release/bin

echo; echo "== 100,000 ratings of 943 users, 20,000 of them held out"
build/venv/bin/python scripts/fetch_data.py ml-100k
$bin/sartor-train --config configs/ml-100k-prepare.yaml --overwrite

echo; echo "== factors by alternating least squares"
$bin/sartor-train --config configs/ml-100k-als.yaml --overwrite

echo; echo "== films for user $user"
printf 'user\n%s\n' "$user" >build/quickstart-user.csv
$bin/sartor-infer --config configs/ml-100k-recommend.yaml \
  --set "users={path: build/quickstart-user.csv, column: user}" --set output=runs/quickstart.csv --overwrite
build/venv/bin/python scripts/show_table.py runs/quickstart.csv
