#!/usr/bin/env python3
"""What the README and the guides name is there: files, links, options, commands, settings, metrics, log events. What
they tell to run is run by deployment.py."""

import os
import re
import subprocess

from harness import BIN, Skip, main
from pages import GUIDE, README, ROOT, Page, guide, pages

COLUMNS, README_LINES = 120, 125
FOLDERS = "lb|common|bench|tests|conf|packaging"
SCRIPTS = ("packaging/demo", "packaging/deps", "tests/run", "tests/fresh", "bench/run")
# Words with an underscore that are nobody's here.
OF_OTHERS = set("io_uring rp_filter proxy_timeout clock_nanosleep epoll_wait proxy_next_upstream js_preread".split())


def sources(*folders, ending="[ch]"):
    return "\n".join(file.read_text() for folder in folders for file in sorted((ROOT / folder).rglob(f"*.{ending}")))


def report(wrong):
    assert not wrong, "\n" + "\n".join(wrong)


def code_lines(page):
    """(line number, code) of everything that is set as code."""
    for n, code in page.spans:
        yield n, code
    for block in page.blocks:
        for n, line in enumerate(block.text.splitlines(), block.line):
            yield n, line


def case_size():
    wrong = []
    for page in pages():
        for n, line in enumerate(page.lines, 1):
            if len(line) > COLUMNS and not line.startswith("|"):
                wrong.append(f"{page.name}:{n}: {len(line)} columns")
    lines = len(README.read_text().splitlines())
    if lines > README_LINES:
        wrong.append(f"README.md: {lines} lines, more than {README_LINES}")
    report(wrong)


def case_links():
    """Every link leads to a file of the tree, and every anchor to a heading."""
    wrong, seen = [], 0
    for page in [*pages(), Page(ROOT / "bench" / "results" / "report.md")]:
        for n, line in page.prose:
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                seen += 1
                if re.match(r"https?://", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (page.file.parent / path).resolve() if path else page.file
                if not file.exists() or ROOT not in [file, *file.parents]:
                    wrong.append(f"{page.name}:{n}: {target} leads nowhere")
                elif anchor and anchor not in Page(file).anchors():
                    wrong.append(f"{page.name}:{n}: {path or page.name} has no heading #{anchor}")
    assert seen > 50, seen
    report(wrong)


def exists(path):
    """A file, a folder, a pattern, or a file without its ending: common/route."""
    found = list(ROOT.glob(path.rstrip("/")))
    if path.endswith("/"):
        return any(one.is_dir() for one in found)
    return bool(found) or any(one.is_file() for one in ROOT.glob(path + ".*"))


def case_paths():
    wrong, seen = [], 0
    for page in pages():
        for n, code in code_lines(page):
            for path in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./*-]*)", code):
                seen += 1
                if not exists(path.rstrip(".")):
                    wrong.append(f"{page.name}:{n}: no {path}")
            for name in re.findall(r"(?<![\w./-])build/bin/([\w-]+)", code):
                if not (BIN / name).exists():
                    wrong.append(f"{page.name}:{n}: the build has no {name}")
            if re.fullmatch(r"[\w-]+\.(py|conf|nft|md)", code):
                folders = ("tests/e2e", "tests/interop", "conf", "packaging", "packaging/ecmp", "packaging/guide")
                folders += ("bench/results",)
                if not any((ROOT / folder / code).exists() for folder in folders):
                    wrong.append(f"{page.name}:{n}: no {code}")
    assert seen > 100, seen
    report(wrong)


def case_folders():
    """The tour of the files goes through every folder."""
    named = {path.rstrip("/") for _, code in Page(GUIDE / "files.md").spans for path in re.split(r"[, ]+", code)}
    folders = [*(ROOT / "lb").iterdir(), *(ROOT / "bench").iterdir(), *(ROOT / "tests").iterdir()]
    folders += [*(ROOT / "bench" / "programs").iterdir(), *(ROOT / "packaging").iterdir()]
    paths = {str(folder.relative_to(ROOT)) for folder in folders if folder.is_dir() and folder.name != "__pycache__"}
    split = {"bench/programs", "tests/simulation", "packaging/guide"}  # told by their parts, or where one is
    report([f"files.md does not say what {path}/ is" for path in sorted(paths - split - named)])


def help_of(program):
    argv = [ROOT / program if "/" in program else BIN / program, "--help"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=ROOT)
    return said.stdout + said.stderr


def programs():
    """Their help, by name."""
    helps = {file.name: help_of(file.name) for file in sorted(BIN.glob("cidlb*")) if file.is_file()}
    assert {"cidlb", "cidlbctl", "cidlb-backend", "cidlb-fleet"} <= set(helps), helps.keys()
    helps.update({script: help_of(script) for script in SCRIPTS})
    helps["tests/run"] += subprocess.run(
        [ROOT / "tests/run", "--list"], capture_output=True, text=True, check=True
    ).stdout
    return helps


def is_word_of(word, text):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def wrong_words(words, program, text):
    """What a command line of `program` has that its help has not."""
    first = True
    for word in words:
        if word in ("|", "&&", ";", "#", "…", "||"):
            return
        option = word.partition("=")[0]
        if option.startswith("-") and option != "-":
            if not is_word_of(option, text):
                yield f"{program} has no option {option}"
        elif first and program == "cidlbctl" and word.islower():
            for one in word.split("|"):
                if not is_word_of(one, text):
                    yield f"cidlbctl has no command {one}"
        elif program in ("tests/run", "bench/run") and re.fullmatch("[a-z0-9]+", word) and not is_word_of(word, text):
            yield f"{program} has no part {word}"
        first = False


def case_commands():
    """Every command that the pages show, and every option of it, is in its program's help."""
    helps, wrong, seen = programs(), [], 0
    every = "\n".join(helps.values())
    tree = {file.name for file in ROOT.glob("packaging/**/*")} | {file.name for file in ROOT.glob("common/*.in")}
    for page in pages():
        for n, code in code_lines(page):
            words = re.sub(r"\s#\s.*", "", code).split()
            for at, word in enumerate(words):
                if word in helps and (at == 0 or words[at - 1] in ("&&", "||", "|", ";") or "=" in words[at - 1]):
                    seen += 1
                    wrong += [f"{page.name}:{n}: {what}" for what in wrong_words(words[at + 1 :], word, helps[word])]
            if words and words[0].startswith("--") and not is_word_of(words[0].partition("=")[0], every):
                wrong.append(f"{page.name}:{n}: no program has an option {words[0]}")
            for name in re.findall(r"(?<![\w./-])(?:lib)?cidlb-[a-z0-9]+(?![\w/])", code):
                name = name.removeprefix("lib")
                if name not in helps and not any(file.startswith(name) for file in tree):
                    if not (BIN / f"lib{name}.so").exists():
                        wrong.append(f"{page.name}:{n}: no program {name}")
    assert seen > 40, seen
    report(wrong)


def case_metrics():
    """Every metric, label and value that the pages name is in the source, and metrics.md has every metric."""
    lb, known, wrong, named = sources("lb", "common"), sources("lb"), [], set()
    for page in pages():
        for n, code in code_lines(page):
            metrics = re.findall(r"(?<![\w/])cidlb_[a-z_]+", code)
            named |= {metric for metric in metrics if page.name.endswith("metrics.md")}
            wrong += [f"{page.name}:{n}: no metric {m}" for m in metrics if f'"{m}"' not in known]
            for label, value in re.findall(r'(?<=[{,`"\s])(verdict|reason|kind|direction|state)="(\w+)"', " " + code):
                if f'"{label}"' not in known or f'"{value}"' not in lb:
                    wrong.append(f'{page.name}:{n}: no metric has {label}="{value}"')
    every = set(re.findall(r'"(cidlb_[a-z_]+)"', sources("lb/admin")))
    assert len(every) > 25, every
    report(wrong + [f"metrics.md does not tell of the metric {metric}" for metric in sorted(every - named)])


def logged():
    """Names of log events: the second argument of log_event() or member of struct log_what, or handed on to it."""
    text = sources("lb")
    calls = re.findall(r'\blog_event\((?!enum)[^;]*?,\s*"(\w+)"', text)
    calls += re.findall(r'\bshortage_tell\([^;]*?,\s*"(\w+)",', text)
    calls += re.findall(r'\(struct log_what\)\{\s*(?:LOG_|is_|conf->)[^"]*?,\s*"(\w+)"', text)
    calls += re.findall(r'\.event = "(\w+)"', text)
    calls += re.findall(r'\bfinding_log\((?!const)[^;]*?"(\w+)"', text)
    return set(calls)


def case_events():
    """Every log event that the pages name is logged somewhere, and operating.md has every event."""
    known, wrong, told = logged(), [], set()
    assert len(known) > 30, known
    for page in pages():
        for n, line in page.prose:
            for chain in re.findall(r"\blog(?: events?)? ((?:`[^`]+`(?:, | and | or )?)+)", line):
                for code in re.findall(r"`([^`]+)`", chain):
                    event = re.match(r"(\w+)(?:$|:| …)", code)
                    if event and event[1] not in known:
                        wrong.append(f"{page.name}:{n}: no log event {event[1]}")
    for n, line in Page(GUIDE / "operating.md").section("What the log says"):
        if line.startswith("| `"):
            told |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
    wrong += [f"operating.md: no log event {event}" for event in sorted(told - known)]
    report(wrong + [f"operating.md does not tell of the log event {event}" for event in sorted(known - told)])


def case_log_texts():
    """What the pages quote of a log line behind its event is what the source says there, or the kernel."""
    text = re.sub(r'"\s*\n\s*"', "", sources("lb", "common")) + " ".join(map(os.strerror, range(1, 134)))
    wrong, seen = [], 0
    for page in pages():
        for n, line in page.prose:
            for said in re.findall(r"\blog `\w+[^`:]*: ([^`]+)`", line):
                seen += 1
                # What differs from line to line: numbers, names of servers, settings.
                for part in re.split(r"…|: |\w*\d\w*|\b[abN]\b|[\w.]*\.\w+|\[", said):
                    if part.strip(" .:;,]") not in text:
                        wrong.append(f"{page.name}:{n}: nothing logs {part.strip()}")
    assert seen > 20, seen
    report(wrong)


def case_settings():
    """Every setting that the pages name is in conf/cidlb.conf, and every other name is in the source."""
    conf = (ROOT / "conf" / "cidlb.conf").read_text()
    text, wrong, seen = conf + sources("lb", "common", "bench") + sources("bench", ending="py"), [], 0
    for page in pages():
        for n, code in page.spans:
            word = code.split(" ")[0]
            section = re.match(r"(?:pools\.)?(nat|tunnel|health|cid|admin|hello_rate)\.(?!py)(\w+)$", word)
            value = re.match(r"(?:\w+\.)*(\w+) = ", code)
            names = [section[2]] if section else [value[1]] if value else []
            seen += len(names)
            wrong += [f"{page.name}:{n}: no setting {name}" for name in names if not is_word_of(name, conf)]
            if re.fullmatch(r"[a-z0-9]+_[a-z0-9_]+(\(\))?", code):
                seen += 1
                if code.rstrip("()") not in OF_OTHERS and not is_word_of(code.rstrip("()"), text):
                    wrong.append(f"{page.name}:{n}: nothing is called {code}")
    assert seen > 80, seen
    report(wrong)


def case_java():
    """What the pages show of programs in Java is compiled and run by tests/interop."""
    text = sources("tests/interop/peers/leshan", ending="java")
    has = {line.strip() for line in text.splitlines()}
    lines = [(page, line) for page in guide() for block in page.commands("java") for line in block]
    assert lines
    report([f"{page.name}: no line of tests/interop/peers/leshan: {line}" for page, line in lines if line not in has])


def case_yaml():
    try:
        import yaml
    except ImportError:
        raise Skip("needs python3-yaml") from None
    blocks = [(page, "\n".join(lines)) for page in guide() for lines in page.commands("yaml")]
    assert blocks
    for page, text in blocks:
        try:
            yaml.safe_load(text)
        except yaml.YAMLError as error:
            report([f"{page.name}: {error}"])


def case_guide_is_complete():
    """The README leads to every page of the guide."""
    linked = set(re.findall(r"\(packaging/guide/([\w-]+\.md)\)", README.read_text()))
    report([f"the README does not lead to {page.file.name}" for page in guide() if page.file.name not in linked])


main(globals())
