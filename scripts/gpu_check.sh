#!/usr/bin/env bash
# Checks the device code on a machine with a GPU where nothing is installed but a driver for CUDA 13 and Python with PyTorch 2.11.
#   scripts/gpu_check.sh pack [FILE]      on the build machine: writes build/gpu-check.tar.xz (at most 60 MiB)
#   tar xf gpu-check.tar.xz && gpu-check/scripts/gpu_check.sh run      on the GPU machine: at most 8 minutes; writes a table, results.json, logs
#   scripts/gpu_check.sh report results.json >docs/gpu.md
# (Without xz: python3 -m tarfile -e gpu-check.tar.xz, then bash gpu-check/scripts/gpu_check.sh run)
# Speed is compared with Hugging Face's models if that Python has transformers, otherwise with torch's own modules.
# PYTHON names the Python to use; its libtorch and CUDA libraries are loaded. Options of `run`: --quick uses small shapes; --cpu rehearses
# without a GPU, with the command in SARTOR_TEST_LAUNCHER before each program that runs kernels; --patience 4 multiplies the time limits.
# Exit status 1: a check failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# Prints the first Python that has PyTorch.
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
  command -v "${PYTHON:-python3}" || command -v python || { echo "gpu_check: no Python found; set PYTHON" >&2; return 1; }
}

export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
[ "${1:-}" != pack ] || (cd "$root" && scripts/build.sh --target gpu_check)
python=$(find_python)
exec "$python" "$root/scripts/gpu/main.py" "$@"
