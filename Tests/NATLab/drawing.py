"""The matrix as a table for a terminal and as a picture."""
from html import escape

# Of the terminal.
COLOURS = {"direct": "32", "relay": "33", None: "31"}
CELL, HEAD = 13, 13


def times(result):
    """The milliseconds to the first byte, and where the path is direct, to that."""
    return "/".join(f"{result[name]:.0f}" for name in ("first_byte_ms", "direct_ms") if result[name] is not None)


def cell(result, mark=""):
    """What stands in a cell: the path and its times."""
    return f"{mark}{result['path'] or 'none'} {times(result)}".rstrip()


def row(name, results, colour):
    """A line of the table: a result for each column, or None, and what marks it."""
    line = f"{name:{HEAD}}"
    for result, mark in results:
        text = f"{cell(result, mark) if result else '':>{CELL}}"
        code = COLOURS[None if mark else result["path"]] if result else "0"
        line += " " + (f"\x1b[{code}m{text}\x1b[0m" if colour else text)
    return line


def table(listeners, kinds, results, width, colour):
    """Listeners below, diallers to the right, in as many pieces as the width asks for."""
    pairs = {(result["listener"], result["dialler"]): result for result in results}
    count = max(1, (width - HEAD) // (CELL + 1))
    lines = []
    for start in range(0, len(kinds), count):
        columns = kinds[start:start + count]
        lines.append("listens/dials".ljust(HEAD) + "".join(f" {name:>{CELL}}" for name in columns))
        for listener in listeners:
            found = [pairs.get((listener, dialler)) for dialler in columns]
            lines.append(row(listener, [(one, "!" if one and not one["ok"] else "") for one in found], colour))
            if any(one and "iroh" in one for one in found):
                lines.append(row("  iroh", [(one and one["iroh"], "") for one in found], colour))
        lines.append("")
    return lines


def summary(results):
    """How often whose connections got the path that is to be had, and how long a direct one took."""
    def of(name, found):
        direct = sorted(one["direct_ms"] for one in found if one["direct_ms"] is not None)
        typical = f", the median after {direct[len(direct) // 2]:.0f} ms" if direct else ""
        return f"{name}: {sum(one['path'] is not None for one in found)} of {len(found)} connected, {len(direct)} directly{typical}"

    theirs = [result["iroh"] for result in results if "iroh" in result]
    return [of("keyhole", results), *([of("iroh", theirs)] if theirs else [])]


def story(result):
    """What a cell can't hold, for one that is not as expected."""
    tried = [f"{one.get('path')} {one.get('remote')}: {one.get('reason')}" for one in result["failed"]]
    why = result["error"] or "; ".join(tried)
    return (f"{result['listener']} dialled from {result['dialler']}: expected {result['expected']}, got {result['path'] or 'nothing'}"
            + (f" ({why})" if why else ""))


# Of the picture: the texts of a light page and of a dark one, and the paths.
STYLE = """text { fill: #1f2328; font: 11px sans-serif } .quiet { fill: #59636e } .page { fill: #ffffff }
.direct { fill: #aceebb } .relay { fill: #fae17d } .none { fill: #ffcecb } .wrong { stroke: #cf222e; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .page { fill: #0d1117 }
.direct { fill: #196c2e } .relay { fill: #6f4d00 } .none { fill: #8e1519 } .wrong { stroke: #ff7b72 }
}"""
WIDE, LINE, LEFT, TOP = 80, 15, 96, 84


def svg(listeners, kinds, results):
    """The same as a picture that needs nothing else to be seen."""
    # A line for the path, one for its times, and one for iroh.
    lines = 3 if any("iroh" in result for result in results) else 2
    high = LINE * lines + 6
    legend = ["In each cell: the path and milliseconds to the first byte, and after the stroke to the direct path."]
    if lines == 3:
        legend.append("Below: the same of two iroh endpoints.")
    if not all(result["ok"] for result in results):
        legend.append("A red edge: not as expected.")
    total = LEFT + WIDE * len(kinds) + 36, TOP + high * len(listeners) + LINE * len(legend) + 14
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}">', f"<style>{STYLE}</style>",
             "<title>Paths between networks of each kind</title>", f'<rect class="page" width="{total[0]}" height="{total[1]}" rx="6"/>',
             f'<text class="quiet" x="10" y="{TOP - 8}">listens ↓ dials →</text>']
    for number, name in enumerate(kinds):
        parts.append(f'<text transform="translate({LEFT + WIDE * number + WIDE // 2 - 6} {TOP - 8}) rotate(-35)">{escape(name)}</text>')
    for number, name in enumerate(listeners):
        parts.append(f'<text x="{LEFT - 6}" y="{TOP + high * number + high // 2 + 4}" text-anchor="end">{escape(name)}</text>')
    for result in results:
        parts.append(drawn(result, LEFT + WIDE * kinds.index(result["dialler"]), TOP + high * listeners.index(result["listener"]), high))
    for number, line in enumerate(legend):
        parts.append(f'<text class="quiet" x="10" y="{total[1] - 12 - LINE * (len(legend) - 1 - number)}">{line}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def drawn(result, x, y, high):
    """One cell of the picture."""
    def box(path, top, height, more=""):
        return f'<rect class="{path or "none"}{more}" x="{x + 1}" y="{y + 1 + top}" width="{WIDE - 2}" height="{height}"/>'

    def line(text, number):
        return f'<text x="{x + WIDE // 2}" y="{y + LINE * number + 14}" text-anchor="middle">{escape(text)}</text>'

    theirs = result.get("iroh")
    upper = high - 2 - (LINE + 2 if theirs else 0)
    parts = [f"<g><title>{escape(story(result))}</title>", box(result["path"], 0, upper, "" if result["ok"] else " wrong"),
             line(result["path"] or "none", 0), line(times(result), 1)]
    if theirs:
        parts += [box(theirs["path"], upper + 1, high - 3 - upper), line(f"iroh {times(theirs) or 'none'}", 2)]
    return "".join(parts) + "</g>"
