"""What scenario `churn` says: its tables and its plots."""

from lib import frame, plot


CID, ADDRESS = "cidlb by CID", "cidlb by address"
COLOURS = {
    CID: "#0072b2",
    ADDRESS: "#56b4e9",
    "Maglev": "#d55e00",
    "Maglev with connections": "#cc79a7",
    "ketama": "#e69f00",
    "modulo": "#7f7f7f",
}
WIDTH = 900
SHORT = {  # formats of gnuplot
    "quiet": "nothing",
    "fail-one": "1 fails",
    "fail-hundredth": "1 %% fail",
    "fail-tenth": "10 %% fail",
    "grow": "growth",
    "shrink": "removal",
    "weight": "weight",
    "upgrade": "upgrade",
    "upgrade-one": "1 by 1",
    "restart": "restart",
}
CHANGES = {
    "quiet": "nothing happens",
    "down": "{} of the servers fail",
    "back": "… and return",
    "add": "{} servers are added",
    "node": "… another balancer node takes over",
    "remove": "{} servers are taken out",
    "lighter": "weight of one halved",
    "heavier": "… and restored",
}


def per_hundred(count, result):
    share = 100 * count / result["settings"]["sessions"]
    return f"{share:,.0f}" if share >= 100 else f"{share:.3g}"


def rows_of(each, result, column):
    """The rows of a schedule: its events if these are few, else what is typical of its steps, and the sum.

    `column`: 0 needless, 1 not.
    """
    names, contenders = list(COLOURS), each["contenders"]
    if each["events"] <= 2:
        for at, (change, count) in enumerate(each["changes"]):
            text = CHANGES[change].format(count)
            text = text.replace("1 of the servers fail", "one server fails") if count == 1 else text
            yield [text, *(per_hundred(contenders[name]["events"][at][column], result) for name in names)]
        return
    if column == 0:
        yield [each["text"], *([""] * len(names))]
        yield ["  each step, median", *(per_hundred(contenders[name]["event_median"], result) for name in names)]
        yield ["  in all", *(per_hundred(contenders[name]["needless"], result) for name in names)]
        yield ["  sessions hit", *(per_hundred(contenders[name]["ever"], result) for name in names)]
    else:
        yield [each["text"], *(per_hundred(contenders[name]["unavoidable"], result) for name in names)]


def table(result):
    settings = result["settings"]
    text = [
        f"churn: sessions broken, per 100 sessions; {settings['servers']:,} servers, {settings['sessions']:,} sessions"
    ]
    parts = {
        "needlessly (their server was there), addresses stay": (False, 0),
        "needlessly, each device has a new address at each event": (True, 0),
        "with their server, which was stopped or taken out; addresses stay": (False, 1),
    }
    for title, (moves, column) in parts.items():
        runs = (each for each in result["runs"] if each["moves"] == moves)
        rows = (row for each in runs for row in rows_of(each, result, column))
        rows = [["", *COLOURS], *(row for row in rows if column == 0 or any(cell != "0" for cell in row[1:]))]
        text.append(f"\n  {title}\n{frame.columns(rows, '    ')}")
    return "\n".join(text)


def schedule_of(each):
    """Its name. Older results call it a plan."""
    return each.get("schedule") or each["plan"]


def broken(each, contender, result):
    """Needlessly, per 100 sessions."""
    return 100 * each["contenders"][contender]["needless"] / result["settings"]["sessions"]


def bars(result, name, title, moves, schedules, caption):
    """Needlessly broken in all, by schedule and contender. On an axis of powers of ten none is no bar."""
    runs = {schedule_of(each): each for each in result["runs"] if each["moves"] == moves}
    least = 100 / result["settings"]["sessions"]
    width = 0.8 / len(COLOURS)
    data, parts = "", []
    for at, (contender, colour) in enumerate(COLOURS.items()):
        middle = (at - (len(COLOURS) - 1) / 2) * width
        values = [max(least, broken(runs[schedule], contender, result)) for schedule in schedules]
        lines = (f"{group + middle:.4f} {value:.8g} {width * 0.92:.4f}" for group, value in enumerate(values))
        data += "\n".join(lines) + "\n\n\n"
        label = contender + ("" if any(value > least for value in values) else ": none")
        look = f"with boxes title {plot.quoted(label)} linecolor rgb '{colour}'"
        parts.append(f"'{name}.dat' index {at} using 1:2:3 {look}")
    tics = ", ".join(f"{plot.quoted(SHORT[schedule])} {at}" for at, schedule in enumerate(schedules))
    settings = f"set ylabel 'broken, per 100 sessions'\nset logscale y\nset yrange [{least:.6g}:*]\nset format y '%g'\n"
    settings += f"set xtics scale 0 ({tics})\nset xrange [-0.6:{len(schedules) - 0.4}]\n"
    return {**plot.whole(name, title, caption, settings, parts, data), "width": WIDTH}


def growing(result):
    """How the sum grows in a rolling upgrade of one server after the other.

    Modulo is left out: beside it nothing could be told apart.
    """
    each = next(each for each in result["runs"] if schedule_of(each) == "upgrade-one")
    hundred = result["settings"]["sessions"] / 100
    data, parts = "", []
    for at, contender in enumerate(name for name in COLOURS if name != "modulo"):
        points = each["contenders"][contender]["grew"]
        lines = (f"{100 * event / each['events']:.6g} {count / hundred:.8g}" for event, count in points)
        data += "\n".join(lines) + "\n\n\n"
        look = f"linecolor rgb '{COLOURS[contender]}' linewidth 2 pointtype {plot.MARKS[at]} pointinterval {3 + at}"
        parts.append(f"'churn-upgrade.dat' index {at} using 1:2 with linespoints title {plot.quoted(contender)} {look}")
    settings = "set xlabel 'servers upgraded, %'\nset ylabel 'per 100 sessions'\nset xrange [0:100]\n"
    servers = f"{result['settings']['servers']:,} servers"
    title = f"Sessions broken while their server is there: upgrade of {servers}, one by one"
    modulo = broken(each, "modulo", result)
    caption = f"Addresses stay. Over 100: broken more than once. Not shown: modulo, {modulo:,.0f} per 100 in the end."
    return {**plot.whole("churn-upgrade", title, caption, settings, parts, data), "width": WIDTH}


def plots(result):
    many = f"{result['settings']['servers']:,} servers, {result['settings']['sessions']:,} sessions"
    stay = ["fail-one", "fail-hundredth", "fail-tenth", "grow", "shrink", "weight", "upgrade", "upgrade-one", "restart"]
    move = ["quiet", "fail-one", "fail-hundredth", "fail-tenth", "grow", "shrink", "weight", "upgrade"]
    caption = f"{many}. Each group: all events of a schedule, without the sessions whose server was gone."
    caption += " Over 100: broken more than once."
    return [
        bars(result, "churn-stay", "Sessions broken while their server is there; addresses stay", False, stay, caption),
        bars(
            result,
            "churn-move",
            "Sessions broken while their server is there; new addresses at each event",
            True,
            move,
            caption,
        ),
        growing(result),
    ]
