"""The blocks of keyhole-recipes(7), by recipe: on which computer each is typed, into which file it goes, and its text."""
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = (Path(__file__).resolve().parent.parent / "man" / "keyhole-recipes.7").read_text()


@dataclass
class Block:
    computer: str
    file: str | None
    text: str


def blocks(section):
    """Those of a section; the first line of each names the computer, and the file if it is one."""
    found = re.findall(r"^\.Bd -literal -offset indent\n# (server|client)(?:: (\S+))?\n(.*?)^\.Ed$", section, re.MULTILINE | re.DOTALL)
    assert len(found) == section.count(".Bd "), "a block does not say where it belongs"
    return [Block(computer, file or None, text.replace("\\e", "\\")) for computer, file, text in found]


RECIPES = {section.split("\n", 1)[0]: blocks(section) for section in re.split(r"^\.S[sh] ", PAGE, flags=re.MULTILINE)[1:] if ".Bd " in section}
