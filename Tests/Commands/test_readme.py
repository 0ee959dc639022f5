"""What the README says is there, is."""
import json
import re
from pathlib import Path

from conftest import COMMANDS, ROOT

README = (ROOT / "README.md").read_text()
SECTION = re.search(r"^## What was planned, and what shows it\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line.startswith("|")][2:]


def names(cell):
    """What a cell names; between these there are only commas."""
    assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell), cell
    return re.findall(r"`([^`]+)`", cell)


def options(run, words):
    """What a command, with its subcommand if there is one, says it takes."""
    described = json.loads(run(words[0], "--experimental-dump-help").out)["command"]
    for word in words[1:]:
        described = next(one for one in described["subcommands"] if one["commandName"] == word)
    return {"--" + spelling["name"] for argument in described.get("arguments", []) for spelling in argument.get("names", [])}


def test_each_part_of_the_plan_has_a_command_and_a_test():
    assert len(ROWS) == 11 and all(len(row) == 3 for row in ROWS)


def test_each_command_and_option_named_for_it_is_there(run):
    for name in (name for row in ROWS for name in names(row[1])):
        if page := re.fullmatch(r"([a-z-]+)\((\d)\)", name):
            assert (ROOT / "man" / f"{page[1]}.{page[2]}").is_file(), name
            continue
        words = name.split()
        given = [word for word in words if word.startswith("--")]
        if words[0] in COMMANDS:
            assert set(given) <= options(run, [word for word in words if word not in given]), name
        else:
            script = next(path for path in (ROOT / "examples" / words[0], ROOT / words[0]) if path.is_file())
            assert all(f"    {option} " in script.read_text() for option in given), name


def test_each_test_named_for_it_is_there():
    for path, name in (name.split("::") for row in ROWS for name in names(row[2])):
        text = Path(ROOT, path).read_text()
        assert re.search(rf"^(def|    @Test.* func) {name}\(", text, re.MULTILINE), f"{path} has no {name}"
