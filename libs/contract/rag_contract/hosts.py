"""Names and addresses of this machine."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether the host is `localhost` or a loopback address; other names are not resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
