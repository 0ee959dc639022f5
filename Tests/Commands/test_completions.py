"""The completions in the repository are those of the commands as they are now, and the shells can load them."""
import subprocess

import pytest

from conftest import COMMANDS, ROOT

LOADING = {
    "bash": ["bash", "--norc", "-c", 'source "$0" && complete -p "$1"'],
    "zsh": ["zsh", "-f", "-c", 'autoload -Uz compinit && compinit -u -D && source "$0" && print -r -- "${_comps[$1]-$functions[_$1]}"'],
    "fish": ["fish", "--no-config", "-c", 'source $argv[1]; complete --do-complete "$argv[2] --"'],
}


@pytest.mark.parametrize("shell", LOADING)
@pytest.mark.parametrize("name", COMMANDS)
def test_completions_are_up_to_date(run, name, shell):
    generated = run(name, "--generate-completion-script", shell)
    kept = (ROOT / "completions" / f"{name}.{shell}").read_text()
    assert generated.out == kept, "an option has changed; run: make completions"


@pytest.mark.parametrize("shell", LOADING)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_shell_loads_them(name, shell):
    script = ROOT / "completions" / f"{name}.{shell}"
    loaded = subprocess.run([*LOADING[shell], script, name], capture_output=True, text=True, timeout=60)
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert loaded.stdout.strip(), f"{shell} knows no completion for {name}"
