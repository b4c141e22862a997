#!/usr/bin/env bash
# First contact with a GPU: everything that a bare machine needs travels in one file, and what ran there comes back as a table.
#   scripts/gpu_check.sh pack [FILE]      here: builds, and packs build/gpu-check.tar.xz (at most 60 MiB)
#   tar xf gpu-check.tar.xz && gpu-check/scripts/gpu_check.sh run      there: at most 8 minutes; ends with a table, results.json and logs
#   scripts/gpu_check.sh report results.json >docs/gpu.md
# (a target without xz: python3 -m tarfile -e gpu-check.tar.xz, then bash gpu-check/scripts/gpu_check.sh run)
# The target needs a driver for CUDA 13 and a Python with PyTorch 2.11, whose libtorch and CUDA libraries are used; PYTHON names another
# than those looked for. `run --cpu` rehearses without a GPU; SARTOR_TEST_LAUNCHER, from the environment, is then put in front of
# programs that run kernels; `--patience 4` gives each check four times its time. `run --quick` takes small shapes. Exit status 1: a check failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# The first Python that has PyTorch.
find_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} "$root/build/venv/bin/python" python3 python /opt/*/bin/python3 /opt/*/.venv/bin/python3 \
    /usr/local/bin/python3 "$HOME"/miniconda3/bin/python3 "$HOME"/.venv/bin/python3; do
    python=$(command -v "$python") || continue
    if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  command -v "${PYTHON:-python3}" || command -v python || { echo "gpu_check: no Python found; name one with PYTHON=" >&2; return 1; }
}

export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
[ "${1:-}" != pack ] || (cd "$root" && scripts/build.sh --target gpu_check)
python=$(find_python)
exec "$python" "$root/scripts/gpu/main.py" "$@"
