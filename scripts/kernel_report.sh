#!/usr/bin/env bash
# Runs each kernel at several sizes on a simulated GPU and writes docs/kernels.md and
# scripts/gpu/estimates.json from what the simulator counts.
#   GPUSIM=FOLDER scripts/kernel_report.sh              all cases; takes a quarter of an hour
#   GPUSIM=FOLDER scripts/kernel_report.sh top-k ALS    cases whose names begin with one of the words; the others keep their last counts,
#                                                        or without any what the page says
#   scripts/kernel_report.sh --page                     writes the page from the last counts
#   scripts/kernel_report.sh --list                     names of the cases
# FOLDER/run COMMAND must run a CUDA program without a GPU and append its counts, one JSON object per kernel, to the file that the
# environment variable GPUSIM_REPORT names. Counts are kept in build/kernel_report.
set -euo pipefail
cd "$(dirname "$0")/.."
case " $* " in
  *" --page "* | *" --list "* | *" --help "* | *" --build "*) ;;
  *) [ -z "${GPUSIM:-}" ] || scripts/build.sh --target sartor_kernels topk_bench als_bench implicit_bench recommender_bench decoding_bench filter_bench >/dev/null ;;
esac
exec env PYTHONDONTWRITEBYTECODE=1 build/venv/bin/python scripts/kernel_report/main.py "$@"
