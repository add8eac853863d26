"""Values of cells and charts as text."""

import datetime
from typing import Any


def value_text(value: Any) -> str:
    """A value: whole numbers without decimals, others to 15 digits, dates as in ISO 8601, on one line."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e17 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else str(value)
    return " ".join(str(value).split())


def number_text(text: str) -> str:
    """A number that a file states as text, such as 1.2345670000000001E6, as `value_text` writes it."""
    try:
        return value_text(float(text))
    except ValueError:
        return " ".join(text.split())
