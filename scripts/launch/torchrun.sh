#!/usr/bin/env bash
# Trains on all GPUs of this machine, or with PROCESSES processes. If one dies, all restart from the last checkpoint.
#   scripts/launch/torchrun.sh --config configs/reviews-en-classify.yaml
#   PROCESSES=2 RESTARTS=1 scripts/launch/torchrun.sh --config configs/reviews-en-classify.yaml --set threads=1
# Arguments go to sartor-train. PROCESSES defaults to the number of GPUs, at least 1; RESTARTS to 3. SARTOR_TRAIN and TORCHRUN override the programs.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
train=${SARTOR_TRAIN:-$here/build/release/bin/sartor-train}
torchrun=${TORCHRUN:-$here/build/venv/bin/torchrun}
if ! gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU'); then gpus=1; fi
processes=${PROCESSES:-$gpus}

# --standalone starts a rendezvous store on a free port and gives the launch an id, by which a restarted process recognizes its own run.
# A run folder of another launch is refused unless --resume or --overwrite is given.
exec "$torchrun" --standalone --no-python --nproc-per-node "$processes" --max-restarts "${RESTARTS:-3}" "$train" "$@"
