"""Seconds as protobuf's Duration and back, without its own conversions, which take most of a message's time."""

from google.protobuf.duration_pb2 import Duration

_NANOSECONDS = 10**9


def set_seconds(message: Duration, seconds: float) -> None:
    """Set the duration to a number of seconds that is not negative, truncated to nanoseconds."""
    message.seconds, message.nanos = divmod(int(seconds * 1e9), _NANOSECONDS)


def to_seconds(message: Duration) -> float:
    """The duration in seconds."""
    return message.seconds + message.nanos / 1e9
