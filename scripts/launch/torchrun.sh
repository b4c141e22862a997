#!/usr/bin/env bash
# Trains on all GPUs of this machine, or on PROCESSES processes; when one dies, all start again from the last checkpoint.
#   scripts/launch/torchrun.sh --config configs/reviews-en-classify.yaml
#   PROCESSES=2 RESTARTS=1 scripts/launch/torchrun.sh --config configs/reviews-en-classify.yaml --set threads=1
# All words go to sartor-train. PROCESSES: default the number of GPUs, 1 without. RESTARTS: default 3. SARTOR_TRAIN and TORCHRUN name other programs.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
train=${SARTOR_TRAIN:-$here/build/release/bin/sartor-train}
torchrun=${TORCHRUN:-$here/build/venv/bin/torchrun}
if ! gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU'); then gpus=1; fi
processes=${PROCESSES:-$gpus}

# --standalone: a store on a free port of this machine, and an id of this launch. By that id a restarted process knows its own run: a folder
# that another launch wrote is refused, as ever, unless --resume or --overwrite is among the words.
exec "$torchrun" --standalone --no-python --nproc-per-node "$processes" --max-restarts "${RESTARTS:-3}" "$train" "$@"
