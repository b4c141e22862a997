"""Shared by all benchmarks: runs both sides in turn, reports medians as JSON, updates a row of docs/benchmarks.md.

`threads` says where both sides compute: a number of CPU threads, or CUDA for the first GPU.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
WORK = ROOT / "build" / "bench"
TRAIN = BUILD / "bin" / "sartor-train"
INFER = BUILD / "bin" / "sartor-infer"
REPORT = ROOT / "docs" / "benchmarks.md"
ROUNDS = 5
LONGEST_RUN = 3 * 3600  # seconds of one program, after which it is taken to hang
CUDA = "cuda"
Threads = int | str
PROCESSORS = len(os.sched_getaffinity(0))
# The OpenBLAS of faiss-cpu and numpy does not recognize new AMD processors; SKYLAKE selects its AVX-512 kernels.
FLAGS = Path("/proc/cpuinfo").read_text().split()
AVX512 = "avx512f" in FLAGS
SKYLAKE = {"OPENBLAS_CORETYPE": "SkylakeX"} if AVX512 else {}
EXTENSIONS = {"avx512_vnni": "VNNI", "avx512_bf16": "BF16", "amx_int8": "AMX"}
ISA = " ".join(["AVX-512", *(name for flag, name in EXTENSIONS.items() if flag in FLAGS)]) if AVX512 else "AVX2"


def machine(threads: Threads) -> dict[str, str]:
    """The instruction set of the CPU or the name of the GPU."""
    if threads != CUDA:
        return {"cpu": ISA}
    names = run("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    return {"gpu": names[0].strip()}


def run(*command: object, threads: Threads | None = None, **environment: str) -> str:
    """Standard output of a program, pinned to `threads` processors and threads. Exits if the program fails or hangs."""
    words = [str(word) for word in command]
    if threads == CUDA:
        environment = {"BENCH_DEVICE": CUDA} | environment
    elif threads:
        words = ["taskset", "-c", ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:threads]), *words]
        environment = {f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "OPENBLAS", "MKL")} | environment
    try:
        done = subprocess.run(
            words,
            check=False,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=LONGEST_RUN,
        )
    except subprocess.TimeoutExpired:
        sys.exit(f"bench: {' '.join(words)}: has not ended after {LONGEST_RUN // 60} minutes")
    if done.returncode:
        sys.exit(f"bench: {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def device_settings(threads: Threads) -> dict[str, object]:
    """Config fields of a task."""
    return {"device": CUDA} if threads == CUDA else {"device": "cpu", "threads": threads}


def train(config: str, output: Path, threads: Threads = PROCESSORS, **settings: object) -> None:
    """Runs configs/CONFIG.yaml with the given output. Keyword model__path sets the field model.path."""
    settings |= device_settings(threads)
    words = [f"output={output}", *(f"{name.replace('__', '.')}={value}" for name, value in settings.items())]
    changes = [word for each in words for word in ("--set", each)]
    run(TRAIN, "--config", f"configs/{config}.yaml", "--overwrite", *changes, threads=threads)


def train_once(config: str, folder: Path, **settings: object) -> None:
    """As train(), but does nothing if `folder` has results newer than the program and the config."""
    results = folder / "results.json"
    newest = max(file.stat().st_mtime for file in (TRAIN, ROOT / "configs" / f"{config}.yaml"))
    if not results.exists() or results.stat().st_mtime < newest:
        shutil.rmtree(folder, ignore_errors=True)
        train(config, folder, **settings)


def fetch(*names: str) -> None:
    """Downloads public data sets that are missing."""
    run(sys.executable, ROOT / "scripts" / "fetch_data.py", *names)


def distinct_lines(language: str) -> Path:
    """Writes the distinct lines of the public reviews to a file."""
    path = WORK / f"lines-{language}.txt"
    if not path.exists():
        fetch(f"reviews-{language}", "minilm")
        field = 2 if language == "en" else 0
        rows = [
            row.split("\t")
            for file in sorted((ROOT / "data" / f"reviews-{language}").glob("*.txt"))
            for row in file.read_text(encoding="utf-8", errors="replace").split("\n")
        ]
        lines = dict.fromkeys(row[field].strip() for row in rows if len(row) > field)
        path.write_text("".join(f"{line}\n" for line in lines if line), encoding="utf-8")
    return path


def peak_mib(*command: object) -> float:
    """Peak resident memory of a program, in MiB. Exits if the program fails."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: {' '.join(words)}: exit {process.returncode}")
    return usage.ru_maxrss / 1024


def last_json(output: str) -> dict:
    """Parses the last line of a program's output."""
    return json.loads(output.strip().splitlines()[-1])


def peer_python(name: str = "peers") -> Path:
    """Python of a virtual environment with requirements-NAME.txt, which is created on first use."""
    requirements = Path(__file__).with_name(f"requirements-{name}.txt")
    venv = ROOT / "build" / name
    done = venv / "complete"
    if not done.exists() or done.read_text() != requirements.read_text():
        print(f"bench: installing peers into build/{name}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", requirements], check=True)
        done.write_text(requirements.read_text())
    return venv / "bin" / "python"


def peer(*words: object, threads: Threads, python: Path | None = None, **environment: str) -> dict:
    """Result of a peers.py run."""
    return last_json(
        run(python or peer_python(), Path(__file__).with_name("peers.py"), *words, threads=threads, **environment)
    )


def in_turn(*sides, rounds: int = ROUNDS) -> list[list[float]]:
    """Calls the sides in the order A B A B … so that drift of the machine affects all alike. Drops the first, warm-up round."""
    figures = [[] for _ in sides]
    for _ in range(rounds + 1):
        for side, found in zip(sides, figures):
            found.append(side())
    return [found[1:] for found in figures]


def compare(
    name: str, ours: list[float], peers: dict[str, list[float]], threads: Threads, unit: str = "s", **more
) -> None:
    """Reports our median against that of the fastest peer. `speedup` is peer time / our time."""
    peer = min(peers, key=lambda each: statistics.median(peers[each]))
    mine, theirs = statistics.median(ours), statistics.median(peers[peer])
    publish(
        {
            "name": name,
            "ours": round(mine, 5),
            "peer": round(theirs, 5),
            "peer_name": peer,
            "unit": unit,
            "speedup": round(theirs / mine, 2),
            "threads": threads,
            **machine(threads),
            "ours_spread": [round(min(ours), 5), round(max(ours), 5)],
            "peer_spread": [round(min(peers[peer]), 5), round(max(peers[peer]), 5)],
            **more,
        }
    )


def publish(line: dict) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)
    name = line["name"]
    family = name.split("/")[0]
    cells = [f"`{name}`", *(columns(line)[family])]
    row = "| " + " | ".join(str(cell) for cell in cells) + " |"
    lines = REPORT.read_text().splitlines()
    mark = f"<!-- {family} -->"
    start = lines.index(mark) + 3
    end = next(i for i in range(start, len(lines) + 1) if i == len(lines) or not lines[i].startswith("|"))
    rows = {each.split("|")[1].strip(): each for each in lines[start:end]} | {f"`{name}`": row}
    REPORT.write_text("\n".join([*lines[:start], *(rows[key] for key in sorted(rows)), *lines[end:]]) + "\n")


def columns(line: dict) -> dict[str, list]:
    """The row's cells after its name, for each table of docs/benchmarks.md."""
    known = {"name", "ours", "peer", "peer_name", "unit", "speedup", "threads", "ours_spread", "peer_spread"}
    rest = ", ".join(f"{key} {value}" for key, value in line.items() if key not in known)
    spread = line.get("ours_spread", []), line.get("peer_spread", [])
    ours = f"{line.get('ours')} ({'–'.join(map(str, spread[0]))})" if spread[0] else line.get("ours", "")
    peer = f"{line.get('peer')} ({'–'.join(map(str, spread[1]))})" if spread[1] else line.get("peer", "")
    return {
        "speed": [
            line.get("threads", ""),
            ours,
            peer,
            line.get("unit", ""),
            line.get("peer_name", ""),
            line.get("speedup", ""),
            rest,
        ],
        "accuracy": [rest],
        "memory": [rest],
    }
