#!/usr/bin/env bash
# The report of a run as a picture, by Debian's chromium: scripts/report_image.sh RUN IMAGE [HEIGHT]
# README's: scripts/report_image.sh runs/reviews-en docs/report.png, after the commands below its "Texts".
set -euo pipefail
cd "$(dirname "$0")/.."
report=$(realpath "$(build/venv/bin/python scripts/report.py "$1")")
chromium --headless --no-sandbox --hide-scrollbars --window-size="1260,${3:-2460}" --screenshot="$(realpath -m "$2")" "file://$report" 2>/dev/null
