"""The blocks of keyhole-operating(7): what it has people type, and the files that it has them write."""
import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parent.parent / "man" / "keyhole-operating.7").read_text()
BLOCKS = [block.replace("\\e", "\\") for block in re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$", PAGE, re.MULTILINE | re.DOTALL)]


def block(*words):
    """The first block that has these words."""
    return next(one for one in BLOCKS if all(word in one for word in words))
