"""SVG charts. Colours are CSS variables of the page: --c0, --c1, ... for the series; --ink, --faint and --grid for the rest."""

from dataclasses import dataclass

from .figures import short, ticks
from .markup import Element, el

COLOURS = 8
WIDTH, HEIGHT = 460, 236
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 34


@dataclass
class Series:
    label: str
    points: list[tuple[float, float]]
    colour: int
    kind: str = "line"  # line, dashed or faint; faint series are not in the legend
    dots: bool = False


def colour(number: int) -> str:
    return f"--c: var(--c{number % COLOURS})"


def legend(series: list[Series]) -> Element | None:
    """Legend of a chart; None for fewer than two series."""
    named = [each for each in series if each.kind != "faint"]
    if len(named) < 2:
        return None
    keys = [
        el("span", el("i", class_=f"swatch {each.kind}", style=colour(each.colour)), each.label, class_="key")
        for each in named
    ]
    return el("div", keys, class_="legend")


def thinned(points: list[tuple[float, float]], most: int = 600) -> list[tuple[float, float]]:
    """At most `most` points. Keeps the minimum and maximum of each interval, so that no spike is lost."""
    if len(points) <= most:
        return points
    stretch = -(-len(points) // (most // 2))
    kept = []
    for begin in range(0, len(points), stretch):
        part = points[begin : begin + stretch]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


class Axes:
    """Maps values to SVG coordinates, and draws grid lines and tick labels."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + across * (self.width - LEFT - RIGHT), self.height - BOTTOM - up * (self.height - TOP - BOTTOM)

    def frame(self, x_title: str, y_title: str = "", whole: bool = False) -> list[Element]:
        drawn = []
        for value in ticks(*self.y):
            _, at = self.place(self.x[0], value)
            drawn.append(el("line", x1=LEFT, x2=self.width - RIGHT, y1=at, y2=at, class_="grid"))
            drawn.append(el("text", short(value), x=LEFT - 8, y=at + 3.5, text_anchor="end"))
        for value in ticks(*self.x, whole=whole):
            at, floor = self.place(value, self.y[0])
            drawn.append(el("line", x1=at, x2=at, y1=floor, y2=floor + 4, class_="axis"))
            drawn.append(el("text", short(value), x=at, y=floor + 16, text_anchor="middle"))
        floor = self.height - BOTTOM
        drawn.append(el("line", x1=LEFT, x2=self.width - RIGHT, y1=floor, y2=floor, class_="axis"))
        middle = LEFT + (self.width - LEFT - RIGHT) / 2
        drawn.append(el("text", x_title, x=middle, y=self.height - 4, text_anchor="middle", class_="title"))
        if y_title:
            up = TOP + (self.height - TOP - BOTTOM) / 2
            turned = f"rotate(-90 12 {up:.1f})"
            drawn.append(el("text", y_title, x=12, y=up, text_anchor="middle", class_="title", transform=turned))
        return drawn

    def path(self, points: list[tuple[float, float]]) -> str:
        return "M" + " ".join("{:.1f},{:.1f}".format(*self.place(x, y)) for x, y in points)


def svg(name: str, width: int, height: int, *children: object) -> Element:
    size = {"viewBox": f"0 0 {width} {height}", "style": f"max-width: {width * 13 // 10}px"}
    return el("svg", *children, **size, role="img", aria_label=name)


def line_chart(name: str, series: list[Series], x_title: str, floor: float | None = None) -> Element:
    """Curves over epochs or steps. `floor` is a value that the y axis must include: 0 for rates and sizes."""
    points = [point for each in series for point in each.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    low = low if floor is None else min(low, floor)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1
    axes = Axes((min(xs), max(xs)), (low if low == floor else low - room, high + room))
    drawn = axes.frame(x_title, whole=True)
    for each in series:
        kept = thinned(each.points)
        style = colour(each.colour)
        if len(kept) > 1:
            drawn.append(el("path", d=axes.path(kept), class_=f"curve {each.kind}", style=style))
        if each.dots or len(kept) == 1:
            for x, y in thinned(each.points, 60):
                across, up = axes.place(x, y)
                tip = el("title", f"{each.label}, {x_title} {x:g}: {short(y)}")
                drawn.append(el("circle", tip, cx=across, cy=up, r=3, class_="dot", style=style))
    return svg(name, axes.width, axes.height, drawn)


def shortened(text: str, letters: int) -> str:
    """Truncates the text to `letters` cells; wide (CJK) characters take two."""
    room = letters
    for i, letter in enumerate(text):
        room -= 2 if ord(letter) >= 0x1100 else 1
        if room < 0:
            return text[: max(i - 1, 1)] + "…"
    return text


def confusion_chart(name: str, classes: list[str], counts: list[list[int]]) -> Element:
    """Rows are true classes. Opacity is the share of the row; correct cells are blue, confusions orange."""
    size = max(22, min(64, 330 // len(classes)))
    slanted = len(classes) > 5
    left, top = 126, 66 if slanted else 46
    width, height = left + size * len(classes) + (50 if slanted else 14), top + size * len(classes) + 8
    drawn = [el("text", "true class ↓   predicted →", x=4, y=14, class_="title")]
    for i, label in enumerate(classes):
        middle = size * (i + 0.5)
        drawn.append(
            el("text", el("title", label), shortened(label, 17), x=left - 8, y=top + middle + 4, text_anchor="end")
        )
        x, y = left + middle, top - 8
        turn = (
            {"transform": f"rotate(-40 {x:.1f} {y})", "text_anchor": "start"} if slanted else {"text_anchor": "middle"}
        )
        drawn.append(el("text", el("title", label), shortened(label, 13 if slanted else size // 6), x=x, y=y, **turn))
    for t, row in enumerate(counts):
        total = sum(row)
        for p, count in enumerate(row):
            share = count / total if total else 0
            x, y = left + size * p, top + size * t
            tip = el("title", f"{classes[t]} predicted as {classes[p]}: {count} of {total}, {share:.1%}")
            shade = {"style": colour(0 if t == p else 1), "fill_opacity": 0.06 + 0.94 * share}
            drawn.append(
                el("rect", tip, x=x + 1, y=y + 1, width=size - 2, height=size - 2, rx=4, class_="cell", **shade)
            )
            if size < 30 and not count:
                continue
            strong = "strong" if share > 0.55 else None
            lines = [(short(count), 4 if size < 44 else -2)] + ([(f"{share:.0%}", 13)] if size >= 44 else [])
            for text, shift in lines:
                place = {"x": x + size / 2, "y": y + size / 2 + shift, "text_anchor": "middle"}
                drawn.append(el("text", text, class_=strong, pointer_events="none", **place))
    return svg(name, width, height, drawn)


def reliability_chart(name: str, bins: list[dict]) -> Element:
    """Accuracy per confidence bin, above a histogram of the confidences."""
    filled = [i for i, each in enumerate(bins) if each["rows"]]
    count, first = len(bins), filled[0]
    total = sum(each["rows"] for each in bins)
    axes = Axes((first / count, 1), (0, 1), 400, 250)
    drawn = axes.frame("confidence", "accuracy")
    for i in filled:
        x, y = axes.place(i / count, bins[i]["accuracy"])
        right, bottom = axes.place((i + 1) / count, 0)
        tip = "{rows} rows: confidence {confidence:.3f}, accuracy {accuracy:.3f}".format(**bins[i])
        box = {"x": x + 1, "y": y, "width": right - x - 2, "height": bottom - y}
        drawn.append(el("rect", el("title", tip), **box, class_="bar", style=colour(0)))
    drawn.append(el("path", d=axes.path([(first / count, first / count), (1, 1)]), class_="ideal"))
    points = [(bins[i]["confidence"], bins[i]["accuracy"]) for i in filled]
    for x, y in points:
        across, up = axes.place(x, y)
        drawn.append(el("circle", cx=across, cy=up, r=3, class_="dot", style=colour(1)))
    strip, base = 46, axes.height + 8 + 46
    most = max(each["rows"] for each in bins)
    for i in filled:
        x, _ = axes.place(i / count, 0)
        right, _ = axes.place((i + 1) / count, 0)
        height = max(strip * bins[i]["rows"] / most, 1)
        tip = el("title", f"{bins[i]['rows']} of {total} rows")
        box = {"x": x + 1, "y": base - height, "width": right - x - 2, "height": height}
        drawn.append(el("rect", tip, **box, class_="count"))
    drawn.append(el("text", "rows", x=LEFT - 8, y=base - 2, text_anchor="end"))
    return svg(name, axes.width, base + 4, drawn)


def scatter_chart(name: str, pairs: list[tuple[float, float]]) -> Element:
    """Predictions of a regression (y) over the true values (x)."""
    values = [value for pair in pairs for value in pair]
    room = (max(values) - min(values)) * 0.04 or 1
    span = (min(values) - room, max(values) + room)
    axes = Axes(span, span, 400, 300)
    drawn = axes.frame("true value", "predicted")
    drawn.append(el("path", d=axes.path([(span[0], span[0]), (span[1], span[1])]), class_="ideal"))
    for given, said in pairs:
        across, up = axes.place(given, said)
        tip = el("title", f"true {short(given)}, predicted {short(said)}")
        drawn.append(el("circle", tip, cx=across, cy=up, r=2.5, class_="cloud", style=colour(0)))
    return svg(name, axes.width, axes.height, drawn)
