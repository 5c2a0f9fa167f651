"""Which addresses are public: IANA's special-purpose address registries."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.adapters.http.downloads.public_addresses import is_public, parse_address

INSIDE = [
    # IPv4: this host, private, shared, loopback, link, protocols, tests, benchmarks, the rest.
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.0.1",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255",
    # IPv6: nobody, loopback, discard, unique local, link, site, multicast, tests, segments.
    "::", "::1", "100::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
    "2001:db8::1", "2001:2::1", "2001:10::1", "3fff::1", "5f00::1", "4000::1",
    # IPv4 inside IPv6: mapped, compatible, translated, 6to4, Teredo, NAT64, ISATAP.
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:224.0.0.1",
    "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
    "2002:c0a8:101::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:808:808::1",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
    "2600::5efe:127.0.0.1", "2600::200:5efe:10.0.0.1",
]  # fmt: skip

OUTSIDE = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.1", "192.167.255.255",
    "100.63.255.255", "100.128.0.1", "223.255.255.255", "2606:4700:4700::1111",
    "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    "2002:808:808::1", "2600::5efe:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_inside(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside(address: str) -> None:
    assert is_public(ip_address(address))


@settings(max_examples=200)
@given(st.ip_addresses(v=4))
def test_an_address_inside_another_counts_as_itself(inside: IPv4Address) -> None:
    number = int(inside)
    for outside in (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x0064FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ):
        assert is_public(outside) == is_public(inside)


@settings(max_examples=200)
@given(st.ip_addresses())
def test_never_kinder_than_the_library(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not (address.is_private or address.is_loopback or address.is_link_local)


@pytest.mark.parametrize("text", ["127.1", "0177.0.0.1", "2130706433", "fe80::1%eth0", "", "x"])
def test_an_address_is_written_in_one_way(text: str) -> None:
    assert parse_address(text) is None
