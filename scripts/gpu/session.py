"""Session: what a check uses to run programs under its time limit. Failed and Missing end a check."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from target import Target, processor


class Failed(Exception):
    """The check failed; the message is the reason in one line. `output`: that of the program that failed, if one did."""

    def __init__(self, reason: str, output: str = ""):
        super().__init__(reason)
        self.output = output


class Missing(Exception):
    """The check cannot run on this machine and is skipped; the message is the reason."""


# Patterns for the most informative line of a failed program's output, best first: our error line, an exception, anything similar.
TELLING = [
    re.compile(r"^(sartor-\w+|compare_devices): "),
    re.compile(r"^(?!subprocess\.)[\w.]*(Error|Exception): "),
    re.compile(r"^(?!#\d).*(error|what\(\)|terminate|FAILED|CUDA|cannot|not found|undefined symbol)", re.IGNORECASE),
    re.compile(""),
]


def last_line(output: str, wanted: re.Pattern = TELLING[-1]) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip() and wanted.search(line.strip())]
    return lines[-1][:400] if lines else ""


def telling_line(output: str) -> str:
    return next(filter(None, (last_line(output, wanted) for wanted in TELLING)), "no output")


def end_group(process: subprocess.Popen) -> None:
    """Kills a program and its children. Gives up after 5 seconds on a process that hangs in a driver call."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


class Session:
    """Gives a check the unpacked files, a scratch folder of its own, and programs that are killed at its time limit."""

    def __init__(self, root: Path, out: Path, scratch: Path, target: Target, arguments: argparse.Namespace):
        self.root, self.out, self.scratch, self.target = root, out, scratch, target
        self.cpu, self.quick, self.patience = arguments.cpu, arguments.quick, arguments.patience
        self.launcher = shlex.split(os.environ.get("SARTOR_TEST_LAUNCHER", "")) if self.cpu else []
        self.threads = len(os.sched_getaffinity(0))
        self.ceilings: dict[str, object] = {}  # figures of the check of that name, for those that follow
        self.figures: dict[str, object] = {}
        self.comparisons: list[dict] = []
        self.work = self.log = out
        self.end = 0.0

    @property
    def device(self) -> str:
        """Device for tasks that use libtorch."""
        return "cpu" if self.cpu else "cuda"

    @property
    def kernel_device(self) -> str:
        """Device for tasks that use only our kernels, which a launcher may simulate."""
        return "cpu" if self.cpu and not self.launcher else "cuda"

    def begin(self, name: str, seconds: float) -> None:
        self.figures, self.comparisons = {}, []
        self.work = self.scratch / name
        self.work.mkdir(parents=True, exist_ok=True)
        self.log = self.out / "logs" / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.end = time.monotonic() + seconds

    def program(self, name: str) -> str:
        """Path of a program, in the unpacked archive or in a build tree."""
        for folder in (self.root, self.root / "build" / "release"):
            if (folder / "bin" / name).exists():
                return str(folder / "bin" / name)
        raise Failed(f"bin/{name} is not in the pack")

    def library(self, name: str) -> str:
        """Path of a library, likewise."""
        return str(Path(self.program("sartor-train")).parents[1] / "lib" / name)

    def data(self, name: str) -> Path:
        path = self.root / "data" / name
        if not path.exists():
            raise Failed(f"data/{name} is not in the pack")
        return path

    def run(self, *words: object, accept: tuple[int, ...] = (0,), **environment: str) -> str:
        """Output of a program. Raises Failed if it exceeds the time limit or exits with a status not in `accept`."""
        command = [str(word) for word in words]
        begin = self.say(f"\n$ {shlex.join(command)}\n")
        start = time.monotonic()
        status = self.status_of(command, environment)
        seconds = time.monotonic() - start
        output = self.log.read_bytes()[begin:].decode(errors="replace")
        self.say(f"[{'out of time' if status is None else f'status {status}'}, {seconds:.1f} s]\n")
        if status in accept:
            return output
        name = next(Path(word).name for word in command if word not in self.launcher)
        if status is None:
            raise Failed(f"{name}: out of time after {seconds:.0f} s; last: {last_line(output)}", output)
        ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        raise Failed(f"{name}: {ended}: {telling_line(output)}", output)

    def status_of(self, command: list[str], environment: dict[str, str]) -> int | None:
        """Exit status, or None if the program was killed at the time limit."""
        with self.log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.root,
                    env={**self.target.environment, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise Failed(f"{command[0]} does not start: {error}") from error
            try:
                return process.wait(timeout=max(self.end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                return None
            finally:
                end_group(process)

    def say(self, text: str) -> int:
        """Appends to the log. Returns the size of the log."""
        with self.log.open("ab") as log:
            log.write(text.encode())
            return log.tell()

    def python(self, script: str, *words: object) -> str:
        return self.run(sys.executable, self.root / "scripts" / "gpu" / script, *words)

    def config(self, name: str, fields: dict) -> Path:
        """Writes a config to the scratch folder, as JSON, which is YAML."""
        path = self.work / f"{name}.yaml"
        path.write_text(json.dumps(fields, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return path

    def task(
        self,
        program: str,
        config: Path | str,
        launched: bool = False,
        environment: dict[str, str] | None = None,
        **settings: object,
    ) -> str:
        """Runs a task and returns its output. Keyword model__path sets the field model.path."""
        changes = [word for name, value in settings.items() for word in ("--set", f"{name.replace('__', '.')}={value}")]
        before = self.launcher if launched and settings.get("device") == "cuda" else []
        words = [*before, self.program(program), "--config", config, "--overwrite", *changes]
        return self.run(*words, **(environment or {}))

    def precisions(self, *wanted: str) -> list[str]:
        """Those of the precisions that the device has: tf32 means fp32 on a CPU, and bf16 needs AVX-512 (top-k has fp16 everywhere). A rehearsal records
        which ones it leaves out."""
        if not self.cpu:
            return list(wanted)
        known = {"fp32", "tf32", "fp16"} | ({"bf16"} if "avx512f" in processor()[1] else set())
        if absent := [each for each in wanted if each not in known]:
            self.figures["left out without a GPU"] = ", ".join(absent)
        return [each for each in wanted if each in known]

    def compare(self, what: str, unit: str, ours: float, peer: str, theirs: float, more_is_better: bool = True) -> None:
        """Records a speed beside that of a peer on the same device."""
        ratio = ours / theirs if more_is_better else theirs / ours
        self.comparisons.append(
            {"what": what, "unit": unit, "ours": ours, "peer": peer, "theirs": theirs, "speedup": ratio}
        )
