"""Routes that do something. Source: spec api.md 15, 16."""

import json

import pytest
from falcon import testing

from hexfusion.adapters.http.app import create_app


@pytest.mark.parametrize(
    ("path", "heard", "body"),
    [
        ("refresh-checkpoints", "refresh", None),
        ("refresh-vae", "refresh vaes", None),
        ("unload-checkpoint", "unload", {}),
        ("reload-checkpoint", "reload", {}),
    ],
)
def test_acts_whatever_the_body(client, house, path, heard, body):
    for sent in (b"", b"{broken"):
        result = client.simulate_post(f"/sdapi/v1/{path}", body=sent)
        assert (result.status_code, result.json) == (200, body)
    assert house.heard == [(heard,)] * 2


@pytest.mark.parametrize("path", ["refresh-loras", "refresh-embeddings"])
def test_networks_are_looked_for_again(client, path):
    result = client.simulate_post(f"/sdapi/v1/{path}")
    assert (result.status_code, result.json) == (200, None)


def test_server_stop(client, house):
    """Recording rest/server_stop."""
    result = client.simulate_post("/sdapi/v1/server-stop")
    assert (result.status_code, result.text) == (200, "Stopping.")
    assert house.heard == [("stop",)]


def test_server_restart_where_nobody_would_start_it(client):
    """Recording rest/server_restart: 501 without a body."""
    result = client.simulate_post("/sdapi/v1/server-restart")
    assert (result.status_code, result.text) == (501, "")


def test_server_restart(client, house):
    house.restarts = True
    assert client.simulate_post("/sdapi/v1/server-restart").status_code == 200


def test_server_kill(client, house):
    client.simulate_post("/sdapi/v1/server-kill")
    assert house.heard == [("kill",)]


@pytest.mark.parametrize("name", ["stop", "restart", "kill"])
def test_without_the_flag_nobody_can(house, name):
    house.may_stop = False
    closed = testing.TestClient(create_app(house.services()))
    result = closed.simulate_post(f"/sdapi/v1/server-{name}")
    assert (result.status_code, result.json) == (404, {"detail": "Not Found"})
    assert house.heard == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("sysinfo", "inline"),
        ("sysinfo?attachment=false", "inline"),
        ("sysinfo?attachment=true", "attachment"),
        ("sysinfo-download", "attachment"),
    ],
)
def test_sysinfo(client, path, kind):
    """Spec api.md 16: JSON as text, with a name for the file."""
    result = client.simulate_get(f"/internal/{path}")
    assert result.headers["Content-Type"].startswith("text/plain")
    disposition = f'{kind}; filename="sysinfo-2026-11-22-12-00.json"'
    assert result.headers["Content-Disposition"] == disposition
    assert json.loads(result.text) == {"Platform": "none"}


@pytest.mark.parametrize(
    "path", ["/", "/config", "/queue/join", "/run/predict", "/sdapi/v1/artists", "/sdapi/v1/nope"]
)
def test_what_is_not_there_is_404(client, path):
    """Spec api.md 2.1 and 18: probes for the web UI's routes and old ones."""
    for method in ("GET", "POST", "HEAD"):
        result = client.simulate_request(method, path)
        assert result.status_code == 404
        assert method == "HEAD" or result.json == {"detail": "Not Found"}


def test_head_is_a_get_without_a_body(client):
    """A1111 answers 405 (recording get/head_progress); HTTP wants what GET would say."""
    get, head = (
        client.simulate_request(method, "/sdapi/v1/samplers") for method in ("GET", "HEAD")
    )
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert client.simulate_request("HEAD", "/sdapi/v1/txt2img").status_code == 405


@pytest.mark.parametrize("path", ["/sdapi/v1/samplers/", "/internal/ping/", "/sdapi/v1/scripts/"])
def test_a_trailing_slash_is_as_good(client, path):
    """A1111 redirects (spec api.md 2)."""
    assert client.simulate_get(path).status_code == 200
