"""Whether an IP address is on the public internet.

Source: IANA's special-purpose address registries. `ipaddress.is_global` covers most ranges, but
treats some as global that are not: those with an embedded IPv4 address, multicast, and withdrawn
ranges.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

#: IPv6 global unicast (RFC 4291, 2.4), and the prefix of NAT64.
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4_RELAYS = IPv4Network("192.88.99.0/24")
_DOCUMENTATION = IPv6Network("3fff::/20")
#: ISATAP (RFC 5214): first half of an interface identifier that ends in an IPv4 address.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether `address` is on the public internet, as far as the address itself tells.

    An embedded IPv4 address (mapped, 6to4, NAT64, ISATAP) must be public too; Teredo never is.
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
    """The IP address in `text`, None unless it is in standard notation without a zone."""
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None
