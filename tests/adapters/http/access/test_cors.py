"""Pages of other sites: spec api.md 2, and the recordings in ../shared/golden/cors."""

import pytest
from falcon import testing

from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.cors import Cors
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import create_app

PATH = "/sdapi/v1/txt2img"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
HOME = "https://home.test"


def client_for(house, *origins: str, pattern: str = "") -> testing.TestClient:
    return testing.TestClient(create_app(house.services(), cors=Cors(origins, pattern)))


def preflight(client: testing.TestClient, origin: str, **headers: str) -> testing.Result:
    return client.simulate_options(PATH, headers={"Origin": origin, **ASKS, **headers})


def test_closed_by_default(client: testing.TestClient) -> None:
    result = preflight(client, HOME)
    assert (result.status_code, result.text) == (400, "Disallowed CORS origin")
    assert "Access-Control-Allow-Origin" not in result.headers
    answer = client.simulate_get("/sdapi/v1/samplers", headers={"Origin": HOME})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_of_an_allowed_page(house) -> None:
    result = preflight(client_for(house, HOME), HOME)
    assert (result.status_code, result.text) == (200, "OK")
    expected = {
        "access-control-allow-origin": HOME,
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "access-control-allow-headers": "content-type",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "600",
        "vary": "Origin",
    }
    assert {key: result.headers[key] for key in expected} == expected


@pytest.mark.parametrize(
    "origin",
    ["https://home.test.evil.test", "http://home.test", "https://home.test:8443", "null", "",
     "https://HOME.test", "https://home.test/"],
)  # fmt: skip
def test_an_origin_is_taken_as_a_whole(house, origin: str) -> None:
    assert preflight(client_for(house, HOME), origin).status_code == 400
    assert preflight(client_for(house, pattern=r"https://home\.test"), origin).status_code == 400


def test_a_pattern(house) -> None:
    client = client_for(house, pattern=r"https://\w+\.home\.test")
    assert preflight(client, "https://a.home.test").status_code == 200
    assert preflight(client, "https://a.b.home.test").status_code == 400


def test_a_method_nobody_may_use(house) -> None:
    result = preflight(client_for(house, HOME), HOME, **{"Access-Control-Request-Method": "BREW"})
    assert (result.status_code, result.text) == (400, "Disallowed CORS method")


def test_all_pages_may_call_but_none_with_the_browsers_cookies(house) -> None:
    """A1111 names the page, and browsers then lend it cookies and stored passwords."""
    client = client_for(house, "*")
    for headers in ({}, {"Cookie": "a=b"}):
        answer = client.simulate_get("/sdapi/v1/samplers", headers={"Origin": HOME, **headers})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight(client, HOME).headers["Access-Control-Allow-Origin"] == "*"


def test_caches_are_told_that_the_answer_depends_on_the_page(house) -> None:
    answer = client_for(house, HOME).simulate_get("/sdapi/v1/samplers", headers={"Origin": HOME})
    assert answer.headers["Vary"] == "Accept-Encoding, Origin"
    assert answer.headers["Access-Control-Allow-Origin"] == HOME


def test_a_preflight_needs_no_credentials_and_errors_can_be_read(house) -> None:
    app = create_app(house.services(), cors=Cors([HOME]), gate=Gate(Accounts({"u": "p"})))
    client = testing.TestClient(app)
    assert preflight(client, HOME).status_code == 200
    for path, status in ((PATH, 401), ("/sdapi/v1/nope", 404)):
        answer = client.simulate_post(path, headers={"Origin": HOME}, json={})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == HOME


@pytest.mark.parametrize("content_type", [None, "text/plain", "multipart/form-data; boundary=x"])
def test_no_foreign_page_can_act_where_browsers_ask_nobody(house, content_type) -> None:
    """A1111 obeys: a page can stop its jobs, and start some by a body without a type."""
    client = client_for(house, HOME)
    headers = {"Content-Type": content_type} if content_type else {}

    def post(path: str, **more: str) -> int:
        return client.simulate_post(path, headers={**headers, **more}).status_code

    for path in ("/sdapi/v1/interrupt", "/sdapi/v1/refresh-checkpoints"):
        assert post(path, Origin="https://evil.test") == 403
        assert post(path, Origin="null") == 403
    assert house.heard == []
    assert post("/sdapi/v1/refresh-checkpoints") == 200  # no browser
    assert post("/sdapi/v1/refresh-checkpoints", Origin=HOME) == 200
    assert post("/sdapi/v1/refresh-checkpoints", Origin="http://me:1", Host="me:1") == 200  # docs
    renamed = {"Origin": "https://me.test", "Host": "inside", "Sec-Fetch-Site": "same-origin"}
    assert post("/sdapi/v1/refresh-checkpoints", **renamed) == 200


def test_json_is_left_to_the_browser_which_asks_first(client: testing.TestClient) -> None:
    """As recorded: cors/nocors_post_err_allowed."""
    answer = client.simulate_post(
        PATH, headers={"Origin": "https://evil.test"}, json={"steps": "x"}
    )
    assert answer.status_code == 422
