"""Every route asks who calls, but for those that tell nothing: spec api.md 3."""

from base64 import b64encode

import pytest
from falcon import testing

from hexfusion.adapters.http.access.accounts import Accounts
from hexfusion.adapters.http.access.gate import OPEN, Gate
from hexfusion.adapters.http.access.rate_limit import Rate, RateLimit
from hexfusion.adapters.http.app import create_app, routes

USER = {"Authorization": "Basic " + b64encode(b"user:pass").decode()}
WRONG = {"Authorization": "Basic " + b64encode(b"user:nope").decode()}


def guarded(house, rate: RateLimit | None = None) -> testing.TestClient:
    gate = Gate(Accounts({"user": "pass", "u2": "p2"}, ["secret-token"]), rate)
    return testing.TestClient(create_app(house.services(), gate=gate))


def test_every_route_by_every_method_asks(house) -> None:
    """Also those that A1111 leaves open: LoRA's and /internal. OPTIONS tells methods alone."""
    client = guarded(house)
    asked = 0
    for path in routes(house.services(), "0").keys() - OPEN:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            concrete = path.replace("{", "").replace("}", "")
            for headers in ({}, WRONG, {"Authorization": "Basic "}, {"Authorization": "Bearer x"}):
                result = client.simulate_request(method, concrete, headers=headers, body=b"{}")
                assert result.status_code == 401, (method, path, headers)
                asked += 1
    assert asked > 300
    assert house.heard == []


@pytest.mark.parametrize(
    "path", ["/sdapi/v1/samplers/", "/sdapi//v1/samplers", "/./sdapi/v1/options"]
)
def test_another_spelling_of_a_path_is_no_way_in(house, path: str) -> None:
    assert guarded(house).simulate_get(path).status_code in (401, 404)


def test_what_is_open_is_open(house) -> None:
    """Nothing else may be: whoever adds to the list has to say so here as well."""
    assert {"/internal/ping", "/health/live", "/docs", "/redoc", "/openapi.json"} == OPEN
    client = guarded(house)
    for path in OPEN:
        assert client.simulate_get(path, headers=WRONG).status_code == 200


def test_a_path_that_nobody_serves_is_404_to_all(house) -> None:
    assert guarded(house).simulate_get("/sdapi/v1/nope").status_code == 404


def test_those_with_credentials_are_let_in(house) -> None:
    client = guarded(house)
    for headers in (USER, {"Authorization": "Bearer secret-token"}):
        assert client.simulate_get("/sdapi/v1/samplers", headers=headers).status_code == 200


def test_a_401_is_a1111s_and_tells_how_to_come_in(house) -> None:
    result = guarded(house).simulate_get("/sdapi/v1/samplers", headers=WRONG)
    assert result.text == (
        '{"error":"HTTPException","detail":"Incorrect username or password","body":"","errors":""}'
    )
    assert result.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert result.headers["Content-Type"] == "application/json"


def test_nothing_of_a_strangers_body_is_looked_at(house) -> None:
    """A1111 answers a stranger 422 where the body is no JSON."""
    for body in (b"{", b'{"steps": "abc"}'):
        assert guarded(house).simulate_post("/sdapi/v1/txt2img", body=body).status_code == 401


def test_an_open_server_does_not_mind_credentials(client: testing.TestClient) -> None:
    for value in ("Basic ", "Basic", "Basic !!!", "Bearer ", "x"):
        headers = {"Authorization": value}
        assert client.simulate_get("/sdapi/v1/samplers", headers=headers).status_code == 200


def test_the_login_is_in_the_context(house) -> None:
    seen: list[object] = []

    class Listener:
        def process_response(self, req, resp, resource, succeeded) -> None:
            seen.append(req.context.get("user"))

    app = create_app(house.services(), gate=Gate(Accounts({"user": "pass"})))
    app.add_middleware(Listener())
    testing.TestClient(app).simulate_get("/sdapi/v1/samplers", headers=USER)
    assert seen == ["user"]


def test_too_many_requests(house) -> None:
    app = create_app(house.services(), gate=Gate(rate=RateLimit(Rate(2, 60), lambda: 0.0)))
    client = testing.TestClient(app)
    answers = [client.simulate_get("/sdapi/v1/samplers") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "30"
    assert answers[-1].json["detail"] == (
        "too many requests: 2 in 60 s are allowed; try again in 30 s"
    )
    assert client.simulate_get("/internal/ping").status_code == 200


def test_users_count_apart_even_from_one_address_and_strangers_by_address(house) -> None:
    client = guarded(house, RateLimit(Rate(2, 60), lambda: 0.0))

    def ask(headers: dict[str, str], address: str = "10.0.0.1") -> int:
        return client.simulate_get(
            "/sdapi/v1/samplers", headers=headers, extras={"REMOTE_ADDR": address}
        ).status_code

    other = {"Authorization": "Basic " + b64encode(b"u2:p2").decode()}
    assert [ask(USER), ask(USER), ask(USER)] == [200, 200, 429]
    assert ask(USER, "10.0.0.2") == 429
    assert ask(other) == 200
    assert [ask(WRONG), ask({}), ask(WRONG)] == [401, 401, 429]
    assert ask(WRONG, "10.0.0.2") == 401
