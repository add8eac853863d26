"""Names and values of traces and metrics as text for a terminal."""

from rich.cells import cell_len, set_cell_size

_CALL = "> "


def short_name(name: str) -> str:
    """The name of an RPC without its package; other names unchanged; on one line."""
    service, slash, method = name.rpartition("/")
    is_rpc = slash and method and " " not in name and "." in service
    return printable(f"{service.rpartition('.')[2]}/{method}" if is_rpc else name)


def span_label(kind: str, name: str) -> str:
    """A span's name; an arrow distinguishes a client's span of a call from the server's."""
    return f"{_CALL if kind == 'client' else ''}{short_name(name) or '(no name)'}"


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells, padded or cut."""
    if cell_len(text) > width:
        text = f"{set_cell_size(text, width - 2)}.."
    return set_cell_size(text, width)


def printable(value: object) -> str:
    """The value on one line, without control characters."""
    line = " ".join(str(value).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def pluralize(count: int, noun: str) -> str:
    """A count with its noun, in the plural unless it is 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
