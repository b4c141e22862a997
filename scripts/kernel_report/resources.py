"""Registers and spills of every kernel, as ptxas reports them, from the commands that compile the device code."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from pathlib import Path

from counts import demangled, short_name

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")

# short name -> architecture -> registers, stack, spills (bytes)
Resources = dict[str, dict[str, dict[str, int]]]


def parse(output: str) -> Resources:
    """Of kernels with the same short name, the one with most registers."""
    found: list[tuple[str, str, dict[str, int]]] = []
    for line in output.splitlines():
        if entry := ENTRY.search(line):
            found.append((entry[1], entry[2], {}))
        elif not found:
            continue
        elif stack := STACK.search(line):
            found[-1][2].update(stack=int(stack[1]), spills=int(stack[2]) + int(stack[3]))
        elif used := USED.search(line):
            found[-1][2]["registers"] = int(used[1])
    names = demangled([mangled for mangled, _, _ in found])
    resources: Resources = {}
    for name, (_, architecture, values) in zip(names, found):
        one = resources.setdefault(short_name(name), {})
        if values.get("registers", 0) >= one.get(architecture, {}).get("registers", 0):
            one[architecture] = values
    return resources


def sources_hash(root: Path) -> str:
    """Of everything that device code includes."""
    files = [path for folder in ("cuda", "configs/base") for path in sorted((root / folder).rglob("*.*"))]
    state = hashlib.sha256()
    for path in files:
        state.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return state.hexdigest()


def compile_commands(build: Path) -> list[tuple[Path, list[str], str]]:
    """Path, command without output, and folder of each file of device code."""
    found = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith(".cu"):
            words = shlex.split(entry["command"])
            end = words.index("-c")
            found.append(
                (Path(entry["file"]), [word for word in words[:end] if "launcher" not in word], entry["directory"])
            )
    return found


def resources(root: Path, build: Path, cache: Path) -> Resources:
    """Compiles the device code unless it is the same as last time."""
    key = sources_hash(root)
    if cache.exists() and (kept := json.loads(cache.read_text()))["sources"] == key:
        return kept["resources"]
    found: Resources = {}
    for path, words, folder in compile_commands(build):
        command = [*words, "-fatbin", str(path), "-o", "/dev/null", "-Xptxas", "-v"]
        print(f"registers of {path.name}", flush=True)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"kernel_report: {path}: {(done.stderr.strip().splitlines() or ['nvcc failed'])[-1]}")
        found |= parse(done.stderr + done.stdout)
    cache.write_text(json.dumps({"sources": key, "resources": found}, indent=1) + "\n")
    return found
