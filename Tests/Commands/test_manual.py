"""What a command says of itself and what its manual page says are the same, and complete."""
import json
import re
import subprocess

import pytest

from conftest import COMMANDS, ROOT


def described(command):
    """The command and its subcommands as ArgumentParser describes them."""
    def walk(description):
        yield description
        for subcommand in description.get("subcommands", []):
            if subcommand["commandName"] != "help":
                yield from walk(subcommand)

    return list(walk(json.loads(command)["command"]))


@pytest.fixture(params=COMMANDS)
def name(request):
    return request.param


@pytest.fixture
def commands(run, name):
    return described(run(name, "--experimental-dump-help").out)


@pytest.fixture
def page(name):
    """With those of subcommands that have a page of their own."""
    return "".join(path.read_text() for path in sorted((ROOT / "man").glob(f"{name}*.1")) if path.stem == name or path.stem.startswith(f"{name}-"))


def options(commands):
    """Every way an option can be written: --long and -s."""
    return {("--" if spelling["kind"] == "long" else "-") + spelling["name"]
            for command in commands for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)
            for spelling in argument.get("names", [])}


def test_the_manual_page_is_correct_mdoc(name):
    checked = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", ROOT / "man" / f"{name}.1"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_manual_page_explains_every_option_and_no_other(commands, page):
    explained = set()
    for line in re.findall(r"^\.It (Fl .*)$", page, re.MULTILINE):
        # "Fl v , Fl Fl verbose", "Fl Fl key Ar FILE"
        explained |= {("--" if dashes == "Fl Fl" else "-") + word
                      for dashes, word in re.findall(r"(Fl Fl|Fl) (?!Fl)([A-Za-z0-9][A-Za-z0-9-]*)", line)}
    assert explained == options(commands)


def test_the_manual_page_tells_of_subcommands_exit_status_and_examples(commands, page):
    for command in commands[1:]:
        assert re.search(rf"\b{command['commandName']}\b", page)
    for section in ("EXIT STATUS", "EXAMPLES"):
        assert re.search(rf"^\.Sh {section}$", page, re.MULTILINE), f"the page has no section {section}"


def test_help_goes_to_standard_output_and_shows_an_example(run, name, commands):
    for command in commands:
        words = [*command.get("superCommands", []), command["commandName"]][1:]
        shown = run(name, *words, "--help")
        assert (shown.status, shown.err) == (0, "")
        assert f"USAGE: {' '.join([name, *words])}" in shown.out
        example = command.get("discussion") or commands[0].get("discussion") or ""
        assert re.search(rf"\b{name} ", example), f"the help of {' '.join([name, *words])} shows no example"


def test_every_option_has_a_line_of_help(commands):
    silent = {argument.get("valueName") for command in commands for argument in command.get("arguments", [])
              if argument.get("shouldDisplay", True) and not argument.get("abstract")}
    assert not silent


def test_the_version_is_printed(run, name):
    shown = run(name, "--version")
    assert shown.status == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", shown.out)


def test_an_unknown_option_is_a_usage_error_on_standard_error(run, name):
    shown = run(name, "--no-such-option")
    assert shown.status == 64 and shown.out == "" and f"Usage: {name}" in shown.err


def test_there_is_a_page_about_the_objects():
    pages = sorted((ROOT / "man").glob("*.5"))
    assert pages
    for page in pages:
        subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], check=True)
