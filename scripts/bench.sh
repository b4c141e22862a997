#!/usr/bin/env bash
# Reproduces the accuracy and speed figures of docs/benchmarks.md: Sartor and public peers in turn, same data, same number of threads.
#   scripts/bench.sh --list
#   scripts/bench.sh speed/cosine-topk accuracy        all benchmarks whose names begin with one of the arguments
#   scripts/bench.sh --device cuda --list              likewise on the first GPU; times end when the GPU has finished
# Prints one line of JSON per benchmark and updates its row of docs/benchmarks.md. Peers are installed under build/.
# GOWALLA=FOLDER scripts/bench.sh speed/evaluate needs a folder with train.tsv.gz and test.tsv.gz, which no package contains.
# Runs in a clean environment, so that variables such as OPENBLAS_CORETYPE or OMP_* do not affect the results.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh --target sartor-train sartor-infer topk_bench wordpiece_bench byte_bpe_bench bert_classify_bench generate_bench decode_products_bench evaluate_bench clustering_bench row_similarity_bench sgd_bench >/dev/null
keep=(PATH HOME CUDA_VISIBLE_DEVICES LANG XDG_CACHE_HOME SSL_CERT_FILE PIP_CERT PIP_INDEX_URL PIP_FIND_LINKS GOWALLA)
clean=()
for name in "${keep[@]}"; do [ -z "${!name:-}" ] || clean+=("$name=${!name}"); done
exec env -i "${clean[@]}" PYTHONDONTWRITEBYTECODE=1 build/venv/bin/python scripts/bench/main.py "$@"
