"""The look of all plots: one colour and mark per contender, error bars from the smallest to the largest, SVG and PNG.

A plot is a dict: `name` of its files, `title`, `caption`, `script` of gnuplot without terminal and output, `data`
{file name: text}. For the usual kinds, bars() and lines() make it. A script of its own has the colours as variables,
`cidlb_nat` for "cidlb nat".
"""

import math
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

# Told apart by the colour-blind too (Okabe and Ito), and by their marks. What begins with a name has its colour.
COLOURS = {
    "cidlb nat": "#0072b2",
    "cidlb tunnel": "#009e73",
    "cidlb stateless": "#56b4e9",
    "nginx": "#d55e00",
    "nftables": "#cc79a7",
    "floor": "#7f7f7f",
    "direct": "#333333",
    "no balancer": "#333333",
    "maglev": "#d55e00",
    "ketama": "#e69f00",
    "modulo": "#7f7f7f",
    "cidlb": "#0072b2",
    "fast tunnel": "#0072b2",
    "fast nat": "#56b4e9",
    "fast dsr": "#b8a400",
    "empty program": "#7f7f7f",
    "routing": "#e69f00",
}
OTHER = "#8c564b"
MARKS = (7, 5, 9, 13, 11, 15, 4, 4, 6, 8, 10, 12, 7, 11, 14, 6, 8)
WIDTH, HEIGHT = 700, 400

LOOK = """
set encoding utf8
set border 3 linecolor rgb "#555555"
set tics nomirror out
set grid ytics linetype 1 linecolor rgb "#d8d8d8" linewidth 0.7 dashtype 1
set key outside bottom center horizontal Left reverse samplen 1.5 height 0.6
set style fill solid 0.85 noborder
set style data linespoints
set boxwidth 0.8
set errorbars small
set title offset 0,-0.3
set tmargin 2.2
set yrange [0:]
set datafile missing "?"
"""
TERMINALS = {
    "svg": 'svg enhanced size {width},{height} fixed font "sans-serif,14" background rgb "white" linewidth 1.5',
    "png": 'pngcairo enhanced size {width2},{height2} font "sans-serif,14" background rgb "white" linewidth 1.5'
    " fontscale 2 pointscale 2",
}


def known(contender):
    """The contender that gives this one its look, or None."""
    return next((name for name in COLOURS if contender.lower().startswith(name)), None)


def colour(contender):
    return COLOURS.get(known(contender), OTHER)


def mark(contender):
    return MARKS[list(COLOURS).index(known(contender))] if known(contender) else 3


def quoted(text):
    """A string for gnuplot that means what it says, in enhanced text as well."""
    return "'" + re.sub(r"([\\{}^_@&~])", r"\\\1", text).replace("'", "''") + "'"


def numbers(spread):
    """Median, smallest and largest of a spread or of a bare number, as columns; gaps for None."""
    if spread is None:
        return "? ? ?"
    values = [spread[key] for key in ("median", "min", "max")] if isinstance(spread, dict) else [spread] * 3
    return " ".join(f"{float(value):.8g}" for value in values)


def bars(name, title, y, groups, values, caption="", extra=""):
    """Groups of bars.

    `values`: {contender: [spread, number or None for each group]}. `extra`: more of gnuplot, before it plots.
    """
    values = {
        contender: spreads for contender, spreads in values.items() if any(spread is not None for spread in spreads)
    }
    width = 0.8 / max(1, len(values))
    data, parts = "", []
    for at, (contender, spreads) in enumerate(values.items()):
        middle = (at - (len(values) - 1) / 2) * width
        rows = (f"{group + middle:.4f} {numbers(spread)} {width * 0.92:.4f}" for group, spread in enumerate(spreads))
        data += "\n".join(rows) + "\n\n\n"
        part = f"'{name}.dat' index {at} using"
        parts.append(f"{part} 1:2:5 with boxes title {quoted(contender)} linecolor rgb '{colour(contender)}'")
        parts.append(f"{part} 1:3:(0):($4-$3) with vectors nohead linecolor rgb '#333333' notitle")
    tics = ", ".join(f"{quoted(str(group))} {at}" for at, group in enumerate(groups))
    axis = f"set ylabel {quoted(y)}\nset xtics scale 0 ({tics})\nset xrange [-0.6:{len(groups) - 0.4}]\n"
    return whole(name, title, caption, axis + height(values.values()) + extra, parts, data)


def lines(name, title, x, y, series, caption="", extra="", logarithmic=True):
    """Points with error bars, joined. `series`: {contender: [(x, spread or number)]}."""
    series = {
        contender: points for contender, points in series.items() if any(spread is not None for _, spread in points)
    }
    data, parts = "", []
    for at, (contender, points) in enumerate(series.items()):
        data += "\n".join(f"{float(place):.8g} {numbers(spread)}" for place, spread in points) + "\n\n\n"
        look = f"linecolor rgb '{colour(contender)}' pointtype {mark(contender)} linewidth 1.5"
        parts.append(f"'{name}.dat' index {at} using 1:2:3:4 with yerrorlines title {quoted(contender)} {look}")
    places = sorted({float(place) for points in series.values() for place, _ in points})
    axis = f"set xlabel {quoted(x)}\nset ylabel {quoted(y)}\n" + height(
        [spread for _, spread in points] for points in series.values()
    )
    if logarithmic and places and places[0] > 0:
        axis += (
            f"set logscale x\nset xrange [{places[0] / 1.3:.6g}:{places[-1] * 1.3:.6g}]\nset xtics ({tics(places)})\n"
        )
    return whole(name, title, caption, axis + extra, parts, data)


def height(rows):
    """An axis for what is 0 throughout: nothing lost is a good result, of which gnuplot makes an empty range."""
    flat = all(
        float(number) == 0 for row in rows for spread in row for number in numbers(spread).split() if number != "?"
    )
    return "set yrange [0:1]\n" if flat else ""


def whole(name, title, caption, settings, parts, data):
    script = f"{settings}\nplot " + ", \\\n  ".join(parts) + "\n" if parts else ""
    return {"name": name, "title": title, "caption": caption, "script": script, "data": {f"{name}.dat": data}}


def tics(places):
    """Whole decades where many values are measured, else each of them."""
    if len(places) > 8:
        places = [
            10.0**power for power in range(math.floor(math.log10(places[0])), math.ceil(math.log10(places[-1])) + 1)
        ]
    return ", ".join(f"{quoted(short(place))} {place:.8g}" for place in places)


def short(number):
    """1,000, 500k, 10M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= 10 * unit or number == unit == 1e6:
            return f"{number / unit:,.4g}{name}"
    return f"{number:,.6g}"


def preamble():
    names = "".join(f"{re.sub('[^a-z0-9]', '_', name)} = '{value}'\n" for name, value in COLOURS.items())
    palette = [*dict.fromkeys(COLOURS.values())]
    look = "set linetype {0} linecolor rgb '{1}' linewidth 1.5 pointtype {2}\n"
    types = "".join(look.format(at + 1, value, MARKS[at]) for at, value in enumerate(palette))
    return names + types + LOOK


def available():
    return shutil.which("gnuplot") is not None


def draw(plot, directory):
    """Writes NAME.svg and NAME.png there; nothing for a plot of nothing. Returns what gnuplot complained about."""
    if not plot["script"]:
        return ""
    size = {"width": plot.get("width", WIDTH), "height": plot.get("height", HEIGHT)}
    size |= {"width2": 2 * size["width"], "height2": 2 * size["height"]}
    said = ""
    with tempfile.TemporaryDirectory(prefix="cidlb-plot-") as place:
        for name, text in plot["data"].items():
            (Path(place) / name).write_text(text)
        for kind, terminal in TERMINALS.items():
            file = Path(directory).resolve() / f"{plot['name']}.{kind}"
            file.unlink(missing_ok=True)
            head = f"set terminal {terminal.format(**size)}\nset output {str(file)!r}\n{preamble()}"
            head += f"set title {quoted(plot['title'])}\n"
            (Path(place) / "plot.gp").write_text(head + plot["script"])
            done = subprocess.run(
                ["gnuplot", "plot.gp"], cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
            )
            said += (
                done.stderr if done.stderr.strip() else "" if done.returncode == 0 else f"exit status {done.returncode}"
            )
            if done.returncode:
                file.unlink(missing_ok=True)
    return " ".join(said.split())
