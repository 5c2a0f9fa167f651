"""Which addresses are on the public internet. Source: IANA's special-purpose address registries.

`ipaddress.is_global` knows most of it. It takes for global some ranges that lead elsewhere: those
that carry an IPv4 address inside, multicast, and what was withdrawn.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

#: All that is handed out for use on the internet (RFC 4291, 2.4); and the translator to IPv4.
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4_RELAYS = IPv4Network("192.88.99.0/24")
_DOCUMENTATION = IPv6Network("3fff::/20")
#: RFC 5214: the first half of an interface identifier that ends in an IPv4 address.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether packets to `address` leave for the internet, as far as can be told from it alone.

    An IPv4 address inside (mapped, 6to4, NAT64, ISATAP) must be public too; Teredo never is.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address not in _6TO4_RELAYS
    inside = _ipv4_inside(address)
    if inside is not None and not is_public(inside):
        return False
    if address.ipv4_mapped or address in _NAT64:
        return True
    return address in _UNICAST and address.is_global and address not in _DOCUMENTATION


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    low = int(address) & (2**64 - 1)
    if address in _NAT64 or low >> 32 in _ISATAP:
        return IPv4Address(low & 0xFFFFFFFF)
    return None


def parse_address(text: str) -> Address | None:
    """The address that `text` is, in the one way of writing that leaves no doubt; else None."""
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None
