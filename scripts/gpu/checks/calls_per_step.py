"""Calls of CUDA in a training step, a scoring batch and a decoding step, counted by a preloaded library."""

from __future__ import annotations

from calls import per_step, read_calls
from checks.common import Faults
from checks.generators import gpt_training_config, threads
from checks.inputs import model_folder, prompts, word_texts
from checks.texts import bert_training_config
from session import Failed, Missing, Session

STEPS = 10, 30
WAITS = "waits for a stream or the device"


def environment(session: Session, name: str) -> tuple[dict[str, str], object]:
    file = session.work / f"{name}.calls"
    return {"LD_PRELOAD": session.library("cuda_calls.so"), "SARTOR_CUDA_CALLS": str(file)}, file


def record(session: Session, what: str, files: list, steps: int) -> None:
    """Adds the calls per step to the figures. Fails if no launch was seen, or if the host waits in every step."""
    found = per_step(*(read_calls(file) for file in files), steps)
    session.figures |= {f"{what}: {group}": round(count, 2) for group, count in found.items() if count}
    if not session.cpu and found["kernel launches"] == 0:
        raise Failed(f"{what}: no kernel launch was counted; is the library preloaded?")
    if found[WAITS] >= 1:
        raise Failed(f"{what}: the host waits for a stream or the device {found[WAITS]:.2f} times, expected 0")


def of_training(session: Session, what: str, config: dict) -> None:
    files = []
    for steps in STEPS:
        training = {"max_steps": steps, "logging_steps": 1000, "eval_strategy": "no"} | config["training"]
        fields = config | {"training": training, "output": str(session.work / "run")}
        counted, file = environment(session, f"{config['task']}-{steps}")
        path = session.config("counted", fields)
        session.task("sartor-train", path, environment=counted, device=session.device, precision=best(session))
        files.append(file)
    record(session, what, files, STEPS[1] - STEPS[0])


def best(session: Session) -> str:
    """The precision of a GPU in production."""
    return "fp32" if session.cpu else "bf16"


def of_scoring(session: Session) -> None:
    """256 rows of 64 tokens in 4 batches, which a pass of the benchmark scores twice: from ids and from texts."""
    model = model_folder(session, "bert", "mini")
    ids, _, _ = word_texts(session, 256, 64, 64)
    files = []
    for passes in (1, 6):
        counted, file = environment(session, f"score-{passes}")
        words = [model, ids.with_suffix(""), best(session), threads(session, session.device), 64 * 64, passes]
        session.run(session.program("bert_classify_bench"), *words, **counted)
        files.append(file)
    record(session, "scoring batch", files, 5 * 2 * 4)


def of_decoding(session: Session) -> None:
    """8 texts, 16 and 48 tokens each."""
    model = model_folder(session, "gpt2", "mini")
    files = []
    for new in (16, 48):
        rows = prompts(session, f"prompts-{new}.txt", 8, 16, new, 400)
        counted, file = environment(session, f"decode-{new}")
        words = [model, best(session), threads(session, session.device), rows, 1]
        session.run(session.program("generate_bench"), *words, **counted)
        files.append(file)
    record(session, "decoding step", files, 32)


def calls_per_step(session: Session) -> None:
    faults = Faults()
    with faults:
        of_training(session, "BERT training step", bert_training_config(session))
    with faults:
        of_training(session, "GPT training step", gpt_training_config(session))
    with faults:
        of_scoring(session)
    with faults:
        of_decoding(session)
    faults.check()
    if session.cpu:
        raise Missing("a rehearsal makes no calls of CUDA; the programs ran with the library that counts them")
