#!/usr/bin/env bash
# Every accuracy and speed claim of this project, made again: ours and the public peer on the same data, in turn, threads equal.
#   scripts/bench.sh --list
#   scripts/bench.sh speed/cosine-topk accuracy        all names that begin so
# Prints one line of JSON a comparison and renews that row of docs/benchmarks.md. Peers go into a virtual environment under build/.
# The environment is cleaned: a shell's OPENBLAS_CORETYPE or OMP settings would measure something else.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh --target sartor-train topk_bench wordpiece_bench bert_classify_bench >/dev/null
keep=(PATH HOME LANG XDG_CACHE_HOME SSL_CERT_FILE PIP_CERT PIP_INDEX_URL PIP_FIND_LINKS)
clean=()
for name in "${keep[@]}"; do [ -z "${!name:-}" ] || clean+=("$name=${!name}"); done
exec env -i "${clean[@]}" PYTHONDONTWRITEBYTECODE=1 build/venv/bin/python scripts/bench/main.py "$@"
