"""Which host names are answered to, and whose pages are the server's own: docs/adr/0022."""

import pytest
from falcon import testing

from hexfusion.adapters.http.access.cors import Cors
from hexfusion.adapters.http.access.from_flags import accounts, hosts
from hexfusion.adapters.http.access.hosts import BadHost, Hosts, UnknownHost, parse_hosts
from hexfusion.adapters.http.app import create_app
from hexfusion.domain.flags import parse_flags

LOCAL = [
    "localhost", "LOCALHOST", "localhost.", "localhost:7861", "localhost:", "sd.localhost",
    "a.b.localhost:1", "127.0.0.1", "127.0.0.1:7861", "127.8.9.10", "127.0.0.1.", "[::1]",
    "[::1]:7861", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
]  # fmt: skip
ADDRESSES = ["192.168.1.5:7861", "8.8.8.8", "0.0.0.0", "[2001:db8::1]:80", "[fe80::1%25eth0]:7861",
             "[fe80::1%eth0]"]  # fmt: skip
STRANGE = [
    "evil.example", "evil.example:7861", "localhost.evil.example", "127.0.0.1.evil.example",
    "evil-localhost", "xlocalhost", "localhost.localdomain", "127.0.0.1.nip.io", "2130706433",
    "0x7f000001", "127.1", "sd", "0177.0.0.1",
]  # fmt: skip
NONE = [
    "", " ", "evil example", "localhost, localhost", "localhost,evil.example", "user@localhost",
    "http://localhost", "localhost/x", "localhost:99999", "localhost:x", "localhost:-1", "[::1",
    "::1", "[::g]", "[localhost]", "[127.0.0.1]", ".", "localhost..", "a..b", "-x.example",
    "x" * 300, "b\u00fccher.example", "localhost:7861:7861", "localhost#", "local\thost",
    "localhost:123456",
]  # fmt: skip


def check(known: Hosts, host: str | None, protocol: str = "HTTP/1.1", **more: str) -> str:
    environ = {"SERVER_PROTOCOL": protocol, **more}
    if host is not None:
        environ["HTTP_HOST"] = host
    try:
        known.check(environ)
    except BadHost:
        return "bad"
    except UnknownHost:
        return "unknown"
    return "known"


def from_argv(*argv: str) -> Hosts:
    flags = parse_flags(argv, {}, absolute=str)
    return hosts(flags, accounts(flags))


@pytest.mark.parametrize("host", LOCAL + ADDRESSES)
def test_localhost_and_addresses_are_answered_to(host: str) -> None:
    """A page that rebinds its name cannot make the browser send these for its name."""
    assert check(Hosts(), host) == "known"


@pytest.mark.parametrize("host", STRANGE)
def test_other_names_are_not(host: str) -> None:
    assert check(Hosts(), host) == "unknown"


@pytest.mark.parametrize("host", NONE)
def test_what_is_no_host_is_refused_whatever_is_allowed(host: str) -> None:
    assert check(Hosts(), host) == "bad"
    assert check(Hosts(["*"], any_name=True), host) == "bad"


def test_only_http_1_0_may_name_no_host() -> None:
    """RFC 9112, 3.2."""
    assert check(Hosts(), None, "HTTP/1.0") == "known"
    assert check(Hosts(), None) == "bad"


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("a.example", "known"),
        ("A.EXAMPLE.:443", "known"),
        ("x.a.example", "unknown"),
        ("x.b.example", "known"),
        ("y.x.b.example:1", "known"),
        ("b.example", "unknown"),
        ("xb.example", "unknown"),
        ("x.b.example.evil.test", "unknown"),
        ("xn--bcher-kva.example", "known"),
    ],
)
def test_allowed_hosts(host: str, answer: str) -> None:
    known = from_argv("--allowed-hosts", "a.example, *.B.example,b\u00fccher.example")
    assert check(known, host) == answer


@pytest.mark.parametrize(
    "text", ["", ",", "http://a.example", "a.example:80", "a b", "*.", "*a.example", "a.*.b",
             "*.127.0.0.1", "a/b"]
)  # fmt: skip
def test_what_is_no_list_of_hosts_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        parse_hosts(text)


def test_a_star_is_any_name() -> None:
    assert check(from_argv("--allowed-hosts=*"), "evil.example") == "known"


def test_the_name_that_the_server_listens_by_is_its_own() -> None:
    assert check(from_argv("--server-name", "Box.lan"), "box.lan:7861") == "known"
    assert check(from_argv("--server-name", "box.lan"), "evil.example") == "unknown"
    assert check(from_argv("--listen"), "evil.example") == "unknown"


def test_with_accounts_any_name_will_do() -> None:
    """A page that took a name has no credentials: browsers keep them by name."""
    assert check(from_argv("--api-auth", "a:b"), "evil.example") == "known"


def test_a_trusted_proxy_answers_for_the_host_that_it_tells() -> None:
    """Waitress drops the header of everybody else."""
    told = {"HTTP_X_FORWARDED_HOST": "sd.example"}
    assert check(from_argv("--trusted-proxy", "10.0.0.1"), "sd.example", **told) == "known"
    assert check(from_argv("--trusted-proxy", "10.0.0.1"), "sd.example") == "unknown"
    assert check(Hosts(), "sd.example", **told) == "unknown"


PATHS = ["/sdapi/v1/samplers", "/internal/ping", "/docs", "/sdapi/v1/nope"]


@pytest.mark.parametrize("path", PATHS)
def test_a_request_for_another_host_is_421_everywhere_and_names_the_flag(house, path) -> None:
    client = testing.TestClient(create_app(house.services(), hosts=Hosts()))
    answer = client.simulate_get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "'evil.example'" in answer.json["detail"]
    assert "--allowed-hosts" in answer.json["detail"]
    assert client.simulate_get(path, headers={"Host": "a,b"}).status_code == 400


def test_a_rebound_page_drives_nothing(house) -> None:
    """For the browser it calls its own site: no preflight, and Sec-Fetch-Site says so."""
    client = testing.TestClient(create_app(house.services(), hosts=Hosts()))
    sent = {
        "Host": "evil.example:7861",
        "Origin": "http://evil.example:7861",
        "Sec-Fetch-Site": "same-origin",
    }
    for kind in ("application/json", "text/plain"):
        answer = client.simulate_post(
            "/sdapi/v1/refresh-checkpoints", headers={**sent, "Content-Type": kind}
        )
        assert answer.status_code == 421
    asks = {**sent, "Access-Control-Request-Method": "POST"}
    assert client.simulate_options("/sdapi/v1/txt2img", headers=asks).status_code == 421
    assert house.heard == []


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost:7861", "localhost:7861", True),
        ("http://LOCALHOST:7861", "localhost.:7861", True),
        ("http://localhost", "localhost:80", True),
        ("https://localhost", "localhost", True),
        ("https://localhost:443", "localhost", True),
        ("http://[::1]:7861", "[::1]:7861", True),
        ("http://localhost:3000", "localhost:7861", False),
        ("http://localhost", "localhost:7861", False),
        ("http://127.0.0.1:7861", "localhost:7861", False),
        ("http://6.6.6.6:7861", "192.168.1.5:7861", False),
        ("null", "localhost", False),
        ("", "localhost", False),
        ("http://evil.example", "localhost", False),
        ("https://sd.example", "127.0.0.1:7861", True),  # allowed; its proxy changed Host
        ("https://sd.example.evil.test", "127.0.0.1:7861", False),
        ("http://localhost:7861", None, False),
    ],
)
def test_whose_pages_are_the_servers_own(origin: str, host: str | None, own: bool) -> None:
    assert Hosts(["sd.example", "*"]).is_own(origin, host) is own


def test_an_own_page_may_act_and_others_may_not(house) -> None:
    known = Hosts(["sd.example"])
    app = create_app(house.services(), hosts=known, cors=Cors(hosts=known))
    client = testing.TestClient(app)

    def post(**headers: str) -> int:
        return client.simulate_post("/sdapi/v1/refresh-checkpoints", headers=headers).status_code

    assert post(Host="localhost:7861", Origin="http://localhost:7861") == 200
    assert post(Host="localhost:7861", Origin="https://sd.example") == 200
    assert post(Host="localhost:7861", Origin="http://localhost:3000") == 403
    assert post(Host="localhost:7861", Origin="http://6.6.6.6:7861") == 403
