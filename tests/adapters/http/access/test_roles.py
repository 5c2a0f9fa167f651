"""Who may change what all share: administrators, where any are named (`--api-admin`)."""

import threading
from base64 import b64encode

import pytest
from falcon import testing

from hexfusion.adapters.http.access.accounts import Accounts, token_name
from hexfusion.adapters.http.access.from_flags import accounts, admins, gate
from hexfusion.adapters.http.access.gate import OPEN, Gate
from hexfusion.adapters.http.access.roles import Admins, parse_names
from hexfusion.adapters.http.app import create_app, routes
from hexfusion.adapters.http.documents.openapi import ADMIN_ROUTES, OPERATIONS
from hexfusion.application.jobs.progress import ReadProgress
from hexfusion.domain.flags import FlagError, parse_flags
from tests.application.boards import wait_for

#: What changes something and is everybody's: work, and what is done to one's own jobs.
EVERYBODYS = {
    ("/sdapi/v1/txt2img", "POST"),
    ("/sdapi/v1/img2img", "POST"),
    ("/sdapi/v1/extra-single-image", "POST"),
    ("/sdapi/v1/extra-batch-images", "POST"),
    ("/sdapi/v1/interrogate", "POST"),
    ("/sdapi/v1/png-info", "POST"),
    ("/sdapi/v1/interrupt", "POST"),
    ("/sdapi/v1/skip", "POST"),
    ("/internal/progress", "POST"),
    ("/v1/jobs/{id}", "DELETE"),
}
#: What only reads, and is administrators' all the same: paths, environment, command line.
READ_BY_ADMINS = {("/internal/sysinfo", "GET"), ("/internal/sysinfo-download", "GET")}


def basic(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:secret".encode()).decode()}


ROOT, ANN, BOB, TOKEN = (
    *(basic(name) for name in ("root", "ann", "bob")),
    {"Authorization": "Bearer t0ken"},
)


def served(house, names=("root",)) -> testing.TestClient:
    known = Accounts(dict.fromkeys(("root", "ann", "bob"), "secret"), ["t0ken"])
    entry = Gate(known, None, Admins(names, ADMIN_ROUTES))
    return testing.TestClient(create_app(house.services(), gate=entry))


def table(house) -> set[tuple[str, str]]:
    return {
        (path, method)
        for path, resource in routes(house.services(), "0").items()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if hasattr(resource, f"on_{method.lower()}")
    }


def test_what_changes_something_is_administrators_or_listed_as_everybodys(house) -> None:
    """Whoever adds a route has to say which."""
    changing = {(path, method) for path, method in table(house) if method != "GET"}
    assert changing == EVERYBODYS | (ADMIN_ROUTES - READ_BY_ADMINS)
    assert not EVERYBODYS & ADMIN_ROUTES
    assert table(house) >= ADMIN_ROUTES
    assert not {path for path, _ in ADMIN_ROUTES} & OPEN


@pytest.mark.parametrize(("path", "method"), sorted(ADMIN_ROUTES))
def test_others_are_told_so_and_nothing_is_done(house, path: str, method: str) -> None:
    client = served(house)
    for headers in (ANN, TOKEN):
        result = client.simulate_request(method, path, headers=headers, body=b"{")
        assert result.status_code == 403
        who = "ann" if headers is ANN else token_name("t0ken")
        assert result.json == {
            "error": "HTTPException",
            "detail": f"{method} {path} is for administrators (--api-admin), and {who} is none",
            "body": "",
            "errors": "",
        }
    assert client.simulate_request(method, path).status_code == 401
    assert house.heard == []
    assert client.simulate_request(method, path, headers=ROOT, json={}).status_code not in (
        401,
        403,
    )


def test_head_is_no_way_around(house) -> None:
    assert served(house).simulate_head("/internal/sysinfo", headers=ANN).status_code == 403


def test_everything_else_is_everybodys(house) -> None:
    client = served(house)
    for path, method in table(house) - ADMIN_ROUTES:
        asked = path.replace("{id}", "nobody")
        result = client.simulate_request(method, asked, headers=ANN, body=b"{}")
        assert result.status_code not in (401, 403), (method, path)
    wanted = {"override_settings": {"sd_model_checkpoint": "tiny_b"}}
    assert client.simulate_post("/sdapi/v1/txt2img", headers=ANN, json=wanted).status_code == 200


def test_without_the_flag_whoever_may_call_may_do_it(house) -> None:
    client = served(house, names=None)
    for headers in (ROOT, ANN, TOKEN):
        changed = client.simulate_post(
            "/sdapi/v1/options", headers=headers, json={"jpeg_quality": 5}
        )
        assert changed.status_code == 200
        assert client.simulate_get("/v1/jobs?all=true", headers=headers).status_code == 403


def test_an_open_server_has_no_roles(client: testing.TestClient) -> None:
    assert client.simulate_post("/sdapi/v1/options", json={"jpeg_quality": 5}).status_code == 200
    assert client.simulate_get("/v1/jobs?all=true").status_code == 200


def test_openapi_tells_whose_each_operation_is(house) -> None:
    document = served(house).simulate_get("/openapi.json").json
    for each in OPERATIONS:
        told = document["paths"][each.path][each.method]
        if each.admin:
            assert "administrators" in told["responses"]["403"]["description"].lower()
            assert "--api-admin" in told["description"]
        else:
            assert "description" not in told


# The flag.


def parsed(*argv: str):
    return parse_flags(argv, {}, absolute=str)


def test_names_are_those_of_accounts(tmp_path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("t0ken\n")
    flags = parsed(
        *("--api-auth", "root:x,ann:y", "--api-token-file", str(tokens)),
        *("--api-admin", f"root, {token_name('t0ken')}"),
    )
    made = admins(flags, accounts(flags), ADMIN_ROUTES)
    assert made == Admins(frozenset({"root", token_name("t0ken")}), ADMIN_ROUTES)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--api-auth", "ann:x", "--api-admin", "ann,eve"], "'eve' is no account; .* ann"),
        (["--api-auth", "ann:x", "--api-admin", "Ann"], "'Ann' is no account"),
        (["--api-auth", "ann:x", "--api-admin", " , "], "names nobody"),
        (["--api-admin", "ann"], "'ann' is no account; accounts are: none"),
    ],
)
def test_a_name_that_is_no_account_is_an_error_at_start(argv, told) -> None:
    with pytest.raises(FlagError, match=told) as refused:
        gate(parsed(*argv))
    assert refused.value.flag == "--api-admin"


def test_an_error_tells_no_password() -> None:
    with pytest.raises(ValueError, match="accounts are: ann") as refused:
        parse_names("eve", Accounts({"ann": "s3cret"}).names)
    assert "s3cret" not in str(refused.value)


# The jobs of all.


@pytest.fixture
def busy(house):
    """A server where ann's job "same" and bob's "same" and "his" run until they are let go."""
    end = threading.Event()

    def work(request, abandoned):
        while not end.wait(0.005) and not abandoned():
            pass

    house.on_txt2img = work
    house.interrupt, house.skip = house.queue.interrupt, house.queue.skip
    house.progress = ReadProgress(house.queue, house)
    client = served(house)
    for headers, id in ((ANN, "same"), (BOB, "same"), (BOB, "his")):
        taken = client.simulate_post(
            "/sdapi/v1/txt2img",
            json={"force_task_id": id},
            headers={**headers, "Prefer": "respond-async"},
        )
        assert taken.status_code == 202
    wait_for(lambda: len(house.queue.running()) == 3)
    yield client
    end.set()
    wait_for(lambda: not house.queue.running())


def running(house) -> set[tuple[str | None, str]]:
    return {(job.owner, job.id) for job in house.queue.running() if not job.interrupted}


def test_administrators_list_the_jobs_of_all_and_others_their_own(busy) -> None:
    told = busy.simulate_get("/v1/jobs?all=true", headers=ROOT).json["jobs"]
    assert {(job["owner"], job["id"]) for job in told} == {
        ("ann", "same"), ("bob", "same"), ("bob", "his"),
    }  # fmt: skip
    assert busy.simulate_get("/v1/jobs", headers=ROOT).json["jobs"] == []
    mine = busy.simulate_get("/v1/jobs", headers=BOB).json["jobs"]
    assert {(job["owner"], job["id"]) for job in mine} == {("bob", "same"), ("bob", "his")}
    assert busy.simulate_get("/v1/jobs?all=true", headers=BOB).status_code == 403
    assert busy.simulate_get("/v1/jobs?all=false", headers=BOB).status_code == 200


def test_administrators_cancel_any_job_and_say_whose_if_several_have_its_id(busy, house) -> None:
    assert busy.simulate_delete("/v1/jobs/his", headers=ANN).status_code == 404
    assert busy.simulate_delete("/v1/jobs/his?owner=bob", headers=ANN).status_code == 403
    assert busy.simulate_delete("/v1/jobs/his", headers=ROOT).status_code == 202
    assert busy.simulate_delete("/v1/jobs/same?owner=bob", headers=ROOT).status_code == 202
    assert busy.simulate_delete("/v1/jobs/same?owner=eve", headers=ROOT).status_code == 404
    assert busy.simulate_delete("/v1/jobs/nope", headers=ROOT).status_code == 404
    assert ("ann", "same") in running(house)
    assert not {("bob", "same"), ("bob", "his")} & running(house)
    assert busy.simulate_get("/v1/jobs/same", headers=ROOT).json["owner"] == "ann"


def test_an_administrators_own_job_comes_first(busy, house) -> None:
    busy.simulate_post(
        "/sdapi/v1/txt2img",
        json={"force_task_id": "same"},
        headers={**ROOT, "Prefer": "respond-async"},
    )
    wait_for(lambda: ("root", "same") in running(house))
    assert busy.simulate_get("/v1/jobs/same", headers=ROOT).json["owner"] == "root"
    assert busy.simulate_delete("/v1/jobs/same", headers=ROOT).status_code == 202
    assert ("root", "same") not in running(house)
    assert {("ann", "same"), ("bob", "same")} <= running(house)


@pytest.mark.parametrize("verb", ["interrupt", "skip"])
def test_administrators_interrupt_and_skip_by_id_and_nothing_without(busy, house, verb) -> None:
    path = f"/sdapi/v1/{verb}"
    assert busy.simulate_post(path, headers=ROOT).status_code == 200
    assert not any(job.interrupted or job.skipped for job in house.queue.running())
    assert busy.simulate_post(f"{path}?id_task=his", headers=ANN).status_code == 404
    his = house.queue.find("his", "bob")
    assert not (his.interrupted or his.skipped)
    assert busy.simulate_post(f"{path}?id_task=his", headers=ROOT).status_code == 200
    assert his.interrupted or his.skipped


def test_administrators_see_how_far_any_job_is(busy) -> None:
    path = "/sdapi/v1/progress?id_task=his"
    answers = [busy.simulate_get(path, headers=who).status_code for who in (ROOT, BOB, ANN)]
    assert answers == [200, 200, 404]
    assert busy.simulate_get("/sdapi/v1/progress?id_task=nope", headers=ROOT).status_code == 404
