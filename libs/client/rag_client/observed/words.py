"""Names and values of traces and metrics as a terminal may show them."""

from rich.cells import cell_len, set_cell_size

_CALL = "> "


def short(name: str) -> str:
    """An RPC without its package; anything else as it is; on one line."""
    service, sign, method = name.rpartition("/")
    known = sign and method and " " not in name and "." in service
    return clean(f"{service.rpartition('.')[2]}/{method}" if known else name)


def titled(kind: str, name: str) -> str:
    """A span's name; an arrow tells a call to another process from that process's own span of it."""
    return f"{_CALL if kind == 'client' else ''}{short(name) or '(no name)'}"


def fit(text: str, width: int) -> str:
    """So many cells, whatever the letters; cut where it is longer."""
    if cell_len(text) > width:
        text = f"{set_cell_size(text, width - 2)}.."
    return set_cell_size(text, width)


def clean(value: object) -> str:
    """On one line, without what would move a terminal's cursor."""
    line = " ".join(str(value).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def counted(count: int, noun: str) -> str:
    """A count with its noun, of which more than one end in s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
