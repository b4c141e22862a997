"""The report on one run, or a comparison of several, as one self-contained HTML file."""

from pathlib import Path

from . import charts
from .charts import Series
from .figures import duration, metric, moving_mean
from .markup import Element, el
from .runs import Run, differences

LOWER_IS_BETTER = {"loss", "rmse", "mae", "log_loss", "calibration_error", "perplexity"}
HELD_OUT = ["validation", "test"]
MOST_CLASSES = 24  # more classes get a list of the most frequent confusions instead of a matrix

# Chart title, training metric, whether the axis begins at 0.
TRAINING = [
    ("Learning rate", "learning_rate", True),
    ("Gradient norm", "grad_norm", True),
    ("Samples per second", "samples_per_second", True),
    ("Tokens per second", "tokens_per_second", True),
    ("Model FLOP utilization", "mfu", True),
    ("Padding avoided", "padding_avoided", True),
    ("Peak memory, MiB", "memory_mib", True),
    ("Peak GPU memory, MiB", "gpu_memory_mib", True),
    ("Seconds per epoch", "seconds", True),
]
VALIDATION = ["accuracy", "f1_macro", "f1_micro", "roc_auc", "calibration_error", "rmse", "mae", "perplexity"]
VALIDATION_LISTS = ["recall", "ndcg", "coverage"]  # of recommendation lists: recall@10


def card(title: str, *children: object, wide: bool = False) -> Element:
    return el("section", el("h3", title), *children, class_="card wide" if wide else "card")


def chart(title: str, series: list[Series], x_title: str, floor: float | None = None) -> Element | None:
    series = [each for each in series if each.points]
    if not series:
        return None
    return card(title, charts.legend(series), charts.line_chart(title, series, x_title, floor))


def loss_series(runs: list[Run]) -> list[Series]:
    """For each run the training loss (faint, with its moving mean) and the validation loss."""
    series = []
    for i, run in enumerate(runs):
        of = "" if len(runs) == 1 else f"{run.name} "
        train, judged = run.series("train", "loss"), run.series("validation", "loss")
        if len(train) >= 30:
            mean = moving_mean([value for _, value in train], max(len(train) // 25, 5))
            series.append(Series(f"{of}train", train, i, "faint"))
            series.append(Series(f"{of}train", [(x, y) for (x, _), y in zip(train, mean)], i))
        else:
            series.append(Series(f"{of}train", train, i))
        second = 1 if len(runs) == 1 else i
        series.append(Series(f"{of}validation", judged, second, "line" if len(runs) == 1 else "dashed", dots=True))
    return series


def curves(runs: list[Run]) -> list[Element]:
    units = {run.unit for run in runs}
    unit = units.pop() if len(units) == 1 else "epoch or step"
    drawn = [chart("Loss", loss_series(runs), unit)]
    judged = list(dict.fromkeys(name for run in runs for name in run.metrics("validation")))
    lists = [name for name in judged if name.partition("@")[0] in VALIDATION_LISTS and "@" in name]
    for name in [name for name in VALIDATION if name in judged] + lists:
        series = [Series(run.name, run.series("validation", name), i, dots=True) for i, run in enumerate(runs)]
        drawn.append(chart(f"Validation {name}", series, unit))
    for title, name, from_zero in TRAINING:
        series = [Series(run.name, run.series("train", name), i) for i, run in enumerate(runs)]
        drawn.append(chart(title, series, unit, 0 if from_zero else None))
    return [each for each in drawn if each is not None]


def cell(value: float | None, interval: dict | None = None, best: bool = False) -> Element:
    low, high = (interval or {}).get("low"), (interval or {}).get("high")
    below = el("small", f"{metric(low)} – {metric(high)}") if low is not None and high is not None else None
    return el("td", el("b", metric(value)) if best else metric(value), below)


def metrics_table(runs: list[Run]) -> Element | None:
    """One row per metric; columns are each run's evaluated splits and baselines."""
    columns: list[tuple[Run, str, dict, dict]] = []  # run, title, values, intervals
    for run in runs:
        for part in HELD_OUT:
            if run.results.get(part):
                intervals = run.evaluation.get(part, {}).get("metrics", {})
                columns.append((run, part, run.results[part], intervals))
        for name, values in run.results.get("baselines", {}).items():
            columns.append((run, f"baseline {name}", values, {}))
    if not columns:
        return None
    names = list(dict.fromkeys(name for _, _, values, _ in columns for name in values))
    rows = []
    for name in names:
        tests = [
            values.get(name) for _, title, values, _ in columns if title == "test" and values.get(name) is not None
        ]
        sign = -1 if name in LOWER_IS_BETTER else 1
        best = max(tests, key=lambda value: sign * value) if len(tests) > 1 else None
        cells = [
            cell(
                values.get(name), intervals.get(name), title == "test" and best is not None and values.get(name) == best
            )
            for _, title, values, intervals in columns
        ]
        rows.append(el("tr", el("th", name, scope="row"), cells))
    groups = [el("th")]
    for i, run in enumerate(runs):
        width = sum(each[0] is run for each in columns)
        if width:
            groups.append(el("th", swatch(i), run.name, colspan=width, class_="group"))
    head = [el("tr", groups)] if len(runs) > 1 else []
    head.append(el("tr", el("th"), [el("th", title) for _, title, _, _ in columns]))
    intervals = [
        run.evaluation.get("intervals", {}) for run in runs if run.evaluation.get("intervals", {}).get("draws")
    ]
    note = None
    if intervals:
        text = "Below each value: its {level:.0%} interval from {draws} bootstrap samples of the rows.".format(
            **intervals[0]
        )
        note = el("p", text, class_="note")
    table = el("table", el("thead", head), el("tbody", rows), class_="numbers")
    return card("Metrics", el("div", table, class_="scroll"), note, wide=len(runs) > 1)


def swatch(number: int) -> Element:
    return el("i", class_="swatch line", style=charts.colour(number))


def class_table(classes: list[str], counts: list[list[int]]) -> Element:
    rows = []
    for k, label in enumerate(classes):
        right, given, said = counts[k][k], sum(counts[k]), sum(row[k] for row in counts)
        values = [right / said if said else 0, right / given if given else 0, 2 * right / (said + given or 1)]
        rows.append(
            el("tr", el("th", label, scope="row"), [el("td", metric(value)) for value in values], el("td", given))
        )
    return class_rows(rows)


def class_rows(rows: list[Element]) -> Element:
    titles = [el("th", title) for title in ("class", "precision", "recall", "f1", "rows")]
    return el("div", el("table", el("thead", el("tr", titles)), el("tbody", rows), class_="numbers"), class_="scroll")


def worst_confusions(classes: list[str], counts: list[list[int]]) -> Element:
    found = [
        (count, f"{classes[t]} → {classes[p]}")
        for t, row in enumerate(counts)
        for p, count in enumerate(row)
        if count and t != p
    ]
    rows = [el("tr", el("th", text, scope="row"), el("td", count)) for count, text in sorted(found, reverse=True)[:20]]
    return el("table", el("tbody", rows), class_="numbers")


def multi_label_table(classes: list[str], matrices: list[list[list[int]]]) -> Element:
    rows = []
    for label, ((_, wrong), (missed, right)) in zip(classes, matrices):
        values = [
            right / (right + wrong or 1),
            right / (right + missed or 1),
            2 * right / (2 * right + wrong + missed or 1),
        ]
        numbers = [el("td", metric(value)) for value in values]
        rows.append(el("tr", el("th", label, scope="row"), numbers, el("td", right + missed)))
    return class_rows(rows)


def scatter(run: Run, part: str) -> Element | None:
    """Scatter plot of a regression's predictions."""
    path = run.folder / "evaluation" / f"{part}.parquet"
    if not path.exists():
        return None
    import pyarrow.parquet  # imported here only, so that other reports do not need it

    table = pyarrow.parquet.read_table(path, columns=["label", "predicted"]).to_pydict()
    pairs = [(a, b) for a, b in zip(table["label"], table["predicted"]) if a is not None and b is not None]
    every = -(-len(pairs) // 1500) if pairs else 1
    return charts.scatter_chart("predictions", pairs[::every]) if pairs else None


def predictions(run: Run, title: str) -> list[Element]:
    """Confusion matrix, calibration and per-class metrics on the test rows, or on validation rows if there are none."""
    part = next((part for part in reversed(HELD_OUT) if part in run.evaluation), None)
    if part is None:
        return []
    found = run.evaluation[part]
    classes, drawn = found.get("classes", []), []
    where = f"{part}, {found.get('rows', 0)} rows" + (f", {title}" if title else "")
    counts = found.get("confusion_matrix")
    if counts:
        small = len(classes) <= MOST_CLASSES
        body = (
            charts.confusion_chart("confusion matrix", classes, counts) if small else worst_confusions(classes, counts)
        )
        drawn.append(card(f"{'Confusion' if small else 'Most frequent confusions'} ({where})", body))
    if any(each["rows"] for each in found.get("calibration", [])):
        error = found.get("metrics", {}).get("calibration_error", {}).get("value")
        note = el(
            "p",
            f"Expected calibration error {metric(error)}. On the dashed line confidence equals accuracy.",
            class_="note",
        )
        drawn.append(
            card(f"Calibration ({where})", charts.reliability_chart("reliability diagram", found["calibration"]), note)
        )
    if counts:
        drawn.append(card(f"Classes ({where})", class_table(classes, counts)))
    if found.get("confusion_matrices"):
        drawn.append(card(f"Classes ({where})", multi_label_table(classes, found["confusion_matrices"])))
    if not counts and not found.get("confusion_matrices"):
        cloud = scatter(run, part)
        drawn.append(card(f"Predictions ({where})", cloud) if cloud is not None else None)
    return [each for each in drawn if each is not None]


def tiles(run: Run) -> Element:
    part = next((part for part in reversed(HELD_OUT) if run.results.get(part)), None)
    values = run.results.get(part, {}) if part else {}
    shown = []
    for name in [
        name for name in ("accuracy", "f1_macro", "f1_micro", "rmse", "recall@10", "ndcg@10") if name in values
    ][:3]:
        of = run.evaluation.get(part, {}).get("metrics", {}).get(name, {})
        below = f"{metric(of['low'])} – {metric(of['high'])}" if "low" in of else None
        rivals = [each[name] for each in run.results.get("baselines", {}).values() if each.get(name) is not None]
        if rivals and part == "test":
            best = min(rivals) if name in LOWER_IS_BETTER else max(rivals)
            below = f"{below + ', ' if below else ''}baseline {metric(best)}"
        shown.append((f"{part} {name}", metric(values[name]), below))
    state = None if run.results else "not complete"
    shown.append((f"{run.unit}s", f"{run.done:,}", state))
    shown.append(("time", duration(run.seconds), None))
    for title, name, unit in (("samples/s", "samples_per_second", ""), ("peak memory", "memory_mib", " MiB")):
        series = [value for _, value in run.series("train", name)]
        if series:
            value = max(series) if name == "memory_mib" else sum(series) / len(series)
            used = [value for _, value in run.series("train", "mfu")]
            share = sum(used) / len(used) if used and name != "memory_mib" else 2
            below = f"utilization {share:.0%}" if share <= 1 else None  # > 1: the peak was measured on a busy machine
            shown.append((title, f"{value:,.0f}{unit}", below))
    return el(
        "div",
        [
            el("div", el("span", title), el("strong", value), el("small", below) if below else None, class_="tile")
            for title, value, below in shown
        ],
        class_="tiles",
    )


def summary(runs: list[Run]) -> Element:
    """Differences between the configs, and progress and duration of each run."""
    heads = [el("th", swatch(i), run.name, class_="group") for i, run in enumerate(runs)]
    rows = [
        el("tr", el("th", path, scope="row"), [el("td", value) for value in values])
        for path, values in differences(runs)
    ]
    for title, show in (
        ("done", lambda run: f"{run.done:,} {run.unit}s" + ("" if run.results else ", not complete")),
        ("time", lambda run: duration(run.seconds)),
    ):
        rows.append(el("tr", el("th", title, scope="row"), [el("td", show(run)) for run in runs]))
    table = el("table", el("thead", el("tr", el("th"), heads)), el("tbody", rows), class_="numbers")
    return card("Differences", el("div", table, class_="scroll"), wide=True)


def origin(run: Run) -> Element:
    """Config of the run, and the provenance recorded in provenance.json."""
    rows = [(name, value) for name, value in run.provenance.items() if isinstance(value, (str, int, float))]
    starts = run.provenance.get("starts", [])
    for number, start in enumerate(starts, 1):
        where = f"start {number}" if len(starts) > 1 else "start"
        ranks = start.get("world_size", 1)
        rows.append(
            (
                where,
                f"{start.get('time', '')}, after {start.get('done_before', 0)} {run.unit}s, {ranks} rank{'s' * (ranks != 1)}",
            )
        )
        rows.append(("device", start.get("device", "")))
        rows.append(("command", " ".join(start.get("command", []))))
    for name, version in (starts[-1].get("versions", {}) if starts else {}).items():
        rows.append((name, version))
    table = el("table", el("tbody", [el("tr", el("th", name, scope="row"), el("td", value)) for name, value in rows]))
    return el(
        "details",
        el("summary", f"Config and provenance of {run.name}"),
        el("pre", run.yaml),
        el("div", table, class_="scroll"),
        class_="card wide",
    )


def page(runs: list[Run]) -> Element:
    several = len(runs) > 1
    title = " · ".join(run.name for run in runs)
    under = ", ".join(dict.fromkeys(run.task for run in runs if run.task))
    device = (runs[0].provenance.get("starts") or [{}])[-1].get("device", "")
    about = f"{under} on {device}" if device and not several else under
    body = [
        el("header", el("h1", title), el("p", about)),
        summary(runs) if several else tiles(runs[0]),
        el("h2", "Curves"),
        el("div", curves(runs) or el("p", "metrics.jsonl is empty.", class_="note"), class_="cards"),
        el("h2", "Results"),
        el(
            "div",
            metrics_table(runs) or el("p", "No results yet.", class_="note"),
            el("div", [predictions(run, run.name if several else "") for run in runs], class_="cards"),
            class_="results" if not several else None,
        ),
        el("h2", "Provenance"),
        [origin(run) for run in runs],
    ]
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{title} – Sartor"),
        el("style", style),
    )
    return el("html", head, el("body", el("main", body)), lang="en")
