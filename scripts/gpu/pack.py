"""Packs programs, GPU modules, scripts, data and libraries (except libtorch and CUDA) into one archive for the target machine."""

from __future__ import annotations

import json
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 60 << 20
FILES = [
    *("scripts/gpu_check.sh", "scripts/gpu", "tests/integration/compare_devices.py", "configs"),
    *(
        "data/ml-100k/ml-100k.inter",
        "data/ml-100k/ml-100k.item",
        "data/reviews-en/amazonReviewSnippets_GroundTruth.txt",
    ),
]


def newest_symbol(files: list[Path], name: str) -> str:
    """The newest symbol version that the files require of a library, such as "2.36" for GLIBC."""
    versions = {
        found for file in files for found in re.findall(rb"\b%s_([0-9.]+)\0" % name.encode(), file.read_bytes())
    }
    return max(
        (version.decode() for version in versions), key=lambda text: [int(part) for part in text.split(".")], default=""
    )


def fill(folder: Path, build: Path) -> list[str]:
    """Fills the folder. Returns the names of files that were not found."""
    cmake = next(
        (
            path
            for path in (ROOT / "build" / "venv" / "bin" / "cmake", shutil.which("cmake"))
            if path and Path(path).exists()
        ),
        "cmake",
    )
    install = [cmake, "--install", build, "--prefix", folder, "--component", "gpu_check", "--strip"]
    subprocess.run([str(word) for word in install], check=True, stdout=subprocess.DEVNULL)
    missing = []
    for name in FILES:
        source, to = ROOT / name, folder / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "schema", "CMakeLists.txt"))
        elif source.exists():
            shutil.copy2(source, to)
        else:
            missing.append(name)
    # --strip above does not strip the bundled third-party libraries
    libraries = sorted(path for path in (folder / "lib").iterdir() if not path.is_symlink())
    subprocess.run(["strip", "--strip-unneeded", *map(str, libraries)], check=False)
    programs = sorted((folder / "bin").iterdir())
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    facts = {
        "commit": commit,
        "glibc": newest_symbol([*programs, *libraries], "GLIBC"),
        "libstdc++": newest_symbol([*programs, *libraries], "GLIBCXX"),
    }
    (folder / "pack.json").write_text(json.dumps(facts, indent=1) + "\n")
    return missing


def compress(folder: Path, file: Path) -> None:
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 4}]
    partial = file.with_name(file.name + ".partial")
    with (
        lzma.open(partial, "wb", format=lzma.FORMAT_XZ, filters=filters) as stream,
        tarfile.open(fileobj=stream, mode="w|") as tar,
    ):
        tar.add(folder, "gpu-check")
    partial.replace(file)


def largest(folder: Path) -> str:
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()),
        key=lambda path: -path.stat().st_size,
    )
    return ", ".join(f"{path.relative_to(folder)} {path.stat().st_size / 1e6:.1f} MB" for path in files[:6])


def check_size(size: int, folder: Path, most: int = MOST_BYTES) -> None:
    if size > most:
        sys.exit(
            f"gpu_check: the archive has {size / (1 << 20):.1f} MiB, at most {most >> 20} are allowed; largest files before compression: {largest(folder)}"
        )


def pack(file: Path, build: Path, as_folder: bool) -> int:
    if as_folder:
        missing = fill(file, build)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, str(ROOT / "scripts" / "fetch_data.py"), "ml-100k", "reviews-en"], check=False)
        with tempfile.TemporaryDirectory(dir=file.parent) as work:
            folder = Path(work) / "gpu-check"
            missing = fill(folder, build)
            compress(folder, file)
            size = file.stat().st_size
            check_size(size, folder)
            print(f"{file}: {size / (1 << 20):.1f} MiB; largest files before compression: {largest(folder)}")
    for name in missing:
        print(f"gpu_check: {name} is missing; checks that need it will fail", file=sys.stderr)
    return 1 if missing else 0
