"""The matrix as a table for a terminal and as a picture."""
from html import escape

COLOURS = {"direct": ("32", "#a6e3a1"), "punched": ("36", "#94d8f0"), "relay": ("33", "#f9e2af"), None: ("31", "#f0a0a0")}
CELL, HEAD = 13, 13


def cell(result):
    """What stands in a cell: the path and the milliseconds to the first byte, and where it is direct, to the direct path."""
    if result is None:
        return ""
    times = [f"{result[name]:.0f}" for name in ("first_byte_ms", "direct_ms") if result[name] is not None]
    return f"{'' if result['ok'] else '!'}{result['path'] or 'none'} {'/'.join(times)}".rstrip()


def table(listeners, kinds, results, width, colour):
    """Listeners below, diallers to the right, in as many pieces as the width asks for."""
    pairs = {(result["listener"], result["dialler"]): result for result in results}
    count = max(1, (width - HEAD) // (CELL + 1))
    lines = []
    for start in range(0, len(kinds), count):
        columns = kinds[start:start + count]
        lines.append("listens/dials".ljust(HEAD) + "".join(f" {name:>{CELL}}" for name in columns))
        for listener in listeners:
            line = f"{listener:{HEAD}}"
            for dialler in columns:
                result = pairs.get((listener, dialler))
                text = f"{cell(result):>{CELL}}"
                code = COLOURS[result["path"] if result["ok"] else None][0] if result else "0"
                line += " " + (f"\x1b[{code}m{text}\x1b[0m" if colour else text)
            lines.append(line)
        lines.append("")
    return lines


def story(result):
    """What a cell can't hold, for one that is not as expected."""
    tried = [f"{one.get('path')} {one.get('remote')}: {one.get('reason')}" for one in result["failed"]]
    why = result["error"] or "; ".join(tried)
    return (f"{result['listener']} dialled from {result['dialler']}: expected {result['expected']}, got {result['path'] or 'nothing'}"
            + (f" ({why})" if why else ""))


def svg(listeners, kinds, results):
    """The same as a picture that needs nothing else to be seen."""
    wide, high, left, top = 66, 26, 100, 92
    total = left + wide * len(kinds) + 30, top + high * len(listeners) + 34
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}" font-family="sans-serif" font-size="11">',
             "<title>Paths between networks of each kind</title>", f'<rect width="{total[0]}" height="{total[1]}" fill="#fff"/>',
             f'<text x="8" y="{top - 8}" fill="#555">listens ↓ dials →</text>']
    for number, name in enumerate(kinds):
        parts.append(f'<text transform="translate({left + wide * number + wide // 2 - 6} {top - 8}) rotate(-35)">{escape(name)}</text>')
    for number, name in enumerate(listeners):
        parts.append(f'<text x="{left - 6}" y="{top + high * number + high // 2 + 4}" text-anchor="end">{escape(name)}</text>')
    for result in results:
        x, y = left + wide * kinds.index(result["dialler"]), top + high * listeners.index(result["listener"])
        fill = COLOURS.get(result["path"], COLOURS[None])[1]
        edge = '#fff"' if result["ok"] else '#c00" stroke-width="2"'
        took = "" if result["first_byte_ms"] is None else f" {result['first_byte_ms']:.0f}"
        word = escape((result["path"] or "none") + took)
        parts.append(f'<g><title>{escape(story(result))}</title>'
                     f'<rect x="{x + 1}" y="{y + 1}" width="{wide - 2}" height="{high - 2}" rx="3" fill="{fill}" stroke="{edge}/>'
                     f'<text x="{x + wide // 2}" y="{y + high // 2 + 4}" text-anchor="middle">{word}</text></g>')
    legend = "path, and milliseconds from a connection to a local port of the dialling host to the first byte; a red edge: not as expected"
    parts.append(f'<text x="8" y="{total[1] - 10}" fill="#555">{legend}</text></svg>')
    return "\n".join(parts) + "\n"
