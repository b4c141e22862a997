"""Describes the target machine (PyTorch, CUDA libraries, driver, CPU) and warns about what will not work."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

TORCH = "2.11"  # version that the programs are built against
CUDA = "13"
OLDEST_DRIVER = 580  # first driver for CUDA 13
# Variables of launchers and batch systems, removed so that programs do not run as one of several ranks.
OTHERS = re.compile(r"^(RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|MASTER_|TORCHELASTIC_|OMP_|SARTOR_)")


@dataclass
class Target:
    facts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)  # for the programs of the checks


def command_output(*words: str, seconds: float = 20) -> str:
    """Standard output of a command; empty if it is missing, fails or hangs."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def torch_folder() -> Path | None:
    """Folder of PyTorch, found without importing it: an import may fail or take half a minute."""
    spec = importlib.util.find_spec("torch")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def torch_versions(folder: Path) -> tuple[str, str]:
    """Versions of PyTorch and of its CUDA ("None" in a CPU build); empty if version.py does not contain them."""
    try:
        text = (folder / "version.py").read_text()
    except OSError:
        return "", ""

    def value(name: str) -> str:
        found = re.search(rf"^{name}\b[^=\n]*=\s*['\"]?([^'\"\n]*)", text, re.MULTILINE)
        return found[1].strip() if found else ""

    return value("__version__"), value("cuda")


def library_folders(torch: Path | None) -> list[Path]:
    """Library folders in search order. The CUDA libraries bundled with PyTorch, if any, come first."""
    folders = [torch / "lib", *sorted(torch.parent.glob("nvidia/*/lib"))] if torch else []
    toolkits = [Path(os.environ["CUDA_HOME"])] if os.environ.get("CUDA_HOME") else []
    toolkits += [Path("/usr/local/cuda"), *sorted(Path("/usr/local").glob(f"cuda-{CUDA}*"), reverse=True)]
    folders += [toolkit / "lib64" for toolkit in toolkits]
    folders += [Path("/usr/local/nvidia/lib64"), Path("/usr/local/nvidia/lib"), Path("/usr/lib/wsl/lib")]
    return [folder for folder in folders if folder.is_dir()]


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def glibc_of(pack: dict, facts: dict[str, str]) -> list[str]:
    needed, found = pack.get("glibc", ""), facts["glibc"]
    if needed and found and number(found) < number(needed):
        return [f"glibc is {found}, the programs need {needed} and will not start"]
    return []


def gpu_of(facts: dict[str, str]) -> list[str]:
    """Adds the facts reported by nvidia-smi. Returns warnings."""
    fields = [
        "name",
        "driver_version",
        "memory.total",
        "clocks.max.sm",
        "clocks.max.memory",
        "power.limit",
        "ecc.mode.current",
    ]
    smi = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    line = command_output(smi, f"--query-gpu={','.join(fields)}", "--format=csv,noheader").splitlines()
    if not line:
        return ["nvidia-smi is missing or does not respond; is a driver installed?"]
    values = [value.strip() for value in line[0].split(",")]
    facts.update(zip(["GPU", "driver", "GPU memory", "SM clock", "memory clock", "power limit", "ECC"], values))
    facts["GPUs"] = str(len(line))
    if number(facts.get("driver", ""))[:1] < (OLDEST_DRIVER,):
        return [
            f"the driver is {facts['driver']}, CUDA {CUDA} needs {OLDEST_DRIVER} or newer: nothing will run on the GPU"
        ]
    return []


def torch_of(folder: Path | None, facts: dict[str, str]) -> list[str]:
    if folder is None:
        return [
            f"{sys.executable} has no PyTorch, and no program starts without libtorch; set PYTHON to a Python with PyTorch"
        ]
    version, cuda = torch_versions(folder)
    facts["PyTorch"] = f"{version}, CUDA {cuda}, {folder}"
    warnings = []
    if not version.startswith(TORCH + "."):
        warnings.append(f"PyTorch is {version}, the programs are built against {TORCH}: they may not start, or crash")
    if not cuda.startswith(CUDA + "."):
        warnings.append(f"PyTorch's CUDA is {cuda}, the modules are built against {CUDA}: they will not load")
    return warnings


def processor() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "", set()
    model = re.search(r"model name\s*:\s*(.*)", text)
    flags = re.search(r"flags\s*:\s*(.*)", text)
    return model[1] if model else "", set(flags[1].split()) if flags else set()


def find_target(root: Path, cpu: bool) -> Target:
    """Collects facts, warnings and the environment. With cpu (a rehearsal) a missing GPU is no reason for a warning."""
    target = Target()
    facts, warnings = target.facts, target.warnings
    try:
        pack = json.loads((root / "pack.json").read_text())
    except (OSError, ValueError):
        pack = {}
    facts["pack"] = pack.get("commit", "none: run from a build tree")
    gpu_warnings = gpu_of(facts)
    warnings += ["rehearsal: figures labelled GPU were computed on this CPU"] if cpu else gpu_warnings
    name, flags = processor()
    facts["CPU"] = f"{name}, {len(os.sched_getaffinity(0))} processors"
    if flags and "avx2" not in flags:
        warnings.append("the CPU has no AVX2: the programs will crash with an illegal instruction")
    facts["system"] = f"{platform.system()} {platform.release()}"
    facts["glibc"] = platform.libc_ver()[1]
    facts["Python"] = f"{platform.python_version()}, {sys.executable}"
    folder = torch_folder()
    warnings += glibc_of(pack, facts) + torch_of(folder, facts)

    environment = {name: value for name, value in os.environ.items() if not OTHERS.match(name)}
    paths = [str(path) for path in library_folders(folder)] + [os.environ.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    environment["TORCH_SHOW_CPP_STACKTRACES"] = "1"
    target.environment = environment
    return target
