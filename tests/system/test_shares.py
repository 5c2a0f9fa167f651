"""Users of a whole server: what one does shuts no other out."""

import time
from base64 import b64encode
from collections.abc import Mapping

from benchmarks.harness import Client, Reply, order
from tests.system.conftest import Serve

PATIENCE = 20.0
USERS = ("--api-auth", "ann:x,bob:x,eve:x", "--api-admin", "eve")


def ask(port: int, user: str, method: str, path: str, body: object = None, **more: str) -> Reply:
    login = {"Authorization": "Basic " + b64encode(f"{user}:x".encode()).decode()}
    client = Client(port, timeout=PATIENCE)
    try:
        return client.ask(method, path, body, {**login, **more})
    finally:
        client.close()


def leave(port: int, user: str, id: str, steps: int = 1) -> Reply:
    wanted = order(steps=steps, force_task_id=id)
    return ask(port, user, "POST", "/sdapi/v1/txt2img", wanted, Prefer="respond-async")


def job(port: int, user: str, id: str) -> Mapping[str, object]:
    return ask(port, user, "GET", f"/v1/jobs/{id}").json()


def until(port: int, user: str, id: str, state: str) -> None:
    end = time.monotonic() + PATIENCE
    while job(port, user, id)["state"] != state:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_flood_of_one_user_leaves_others_places_and_turns(serve: Serve) -> None:
    with serve(*USERS, "--queue", "4", "--queue-per-user", "2", seconds_per_step=0.1) as port:
        assert leave(port, "ann", "a0", 600).status == 202
        until(port, "ann", "a0", "running")
        assert [leave(port, "ann", f"a{n}", 600).status for n in (1, 2, 3)] == [202, 202, 429]
        refused = leave(port, "ann", "a4", 600)
        assert "user ann has 2 jobs waiting already" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert leave(port, "bob", "b0").status == 202
        assert [job(port, "ann", "a1")["position"], job(port, "bob", "b0")["position"]] == [2, 1]
        # The administrator ends the long one: it is bob's turn, though ann's came first.
        assert ask(port, "eve", "POST", "/sdapi/v1/interrupt?id_task=a0").status == 200
        until(port, "bob", "b0", "done")
        told = ask(port, "eve", "GET", "/v1/jobs?all=true").json()["jobs"]
        assert {(each["owner"], each["id"]) for each in told} == {
            *(("ann", f"a{n}") for n in range(3)),
            ("bob", "b0"),
        }
        for n in (2, 1):
            assert ask(port, "eve", "DELETE", f"/v1/jobs/a{n}").status in (200, 202)


def test_watchers_of_one_user_leave_others_theirs(serve: Serve) -> None:
    with serve(*USERS, "--watchers-per-user", "1", "--slots", "2", seconds_per_step=0.1) as port:
        streams = []  # each is read until it is let go of
        for user in ("ann", "bob"):
            assert leave(port, user, "long", 600).status == 202
            client = Client(port, timeout=PATIENCE)
            login = {"Authorization": "Basic " + b64encode(f"{user}:x".encode()).decode()}
            client._connection.request("GET", "/v1/jobs/long/events", None, login)
            streams.append(client._connection.getresponse())
            assert streams[-1].status == 200
        refused = ask(port, "ann", "GET", "/v1/jobs/long/events")
        assert refused.status == 429
        assert "user ann has 1 watchers already" in refused.json()["detail"]
        for stream, user in zip(streams, ("ann", "bob"), strict=True):
            stream.close()
            assert ask(port, user, "DELETE", "/v1/jobs/long").status == 202


def test_what_one_user_keeps_goes_before_what_another_keeps(serve: Serve) -> None:
    with serve(*USERS, "--job-limit", "3", "--job-limit-all", "4") as port:
        for user, count in (("bob", 1), ("ann", 6), ("eve", 1)):
            for n in range(count):
                assert leave(port, user, f"{n}").status == 202
                until(port, user, f"{n}", "done")
        kept = {
            user: [each["id"] for each in ask(port, user, "GET", "/v1/jobs").json()["jobs"]]
            for user in ("ann", "bob", "eve")
        }
    assert kept == {"ann": ["5", "4"], "bob": ["0"], "eve": ["0"]}
