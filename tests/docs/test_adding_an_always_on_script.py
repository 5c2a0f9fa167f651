"""docs/adding-an-always-on-script.md, done: its diff makes a script, listed, checked and heeded."""

from pathlib import Path

import pytest

#: What a fresh process does with the copy: lists the scripts, and makes pictures with the new one.
USE = """
hires = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.7, "hr_upscaler": "Latent"}
request |= {"steps": 2, **hires}

def asked(**fields):
    return client.simulate_post("/sdapi/v1/txt2img", json={**request, **fields})

def scripted(*arguments):
    return {"alwayson_scripts": {"Hires guidance": {"args": arguments}}}

def made(**fields):
    reply = asked(**fields).json
    return {"picture": reply["images"][0], "text": json.loads(reply["info"])["infotexts"][0]}

plain, guided = made(), made(**scripted(True, 2))
refused = asked(**scripted(True, 99))
print(json.dumps({
    "from": bootstrap.__file__,
    "scripts": client.simulate_get("/sdapi/v1/scripts").json,
    "described": client.simulate_get("/sdapi/v1/script-info").json,
    "plain": plain,
    "off": made(**scripted(False, 2)),
    "guided": guided,
    "again": made(infotext=guided["text"]),
    "single": made(enable_hr=False, **scripted(True, 2)),
    "refused": [refused.status_code, refused.json],
}))
"""


@pytest.mark.parametrize("backend", ["fake", pytest.param("torch", marks=pytest.mark.torch)])
def test_its_diff_makes_a_script(page, backend: str) -> None:
    script = page("adding-an-always-on-script")
    made = script.use(USE, "--backend", backend)
    assert Path(made["from"]).parent == script.folder
    titles = made["scripts"]["txt2img"]
    assert titles[titles.index("Hypertile") + 1] == "hires guidance"
    assert "hires guidance" not in made["scripts"]["img2img"]
    (described,) = (each for each in made["described"] if each["name"] == "hires guidance")
    assert (described["is_alwayson"], described["is_img2img"]) == (True, False)
    switch, slider = described["args"]
    assert (switch["label"], switch["value"]) == ("Hires guidance", False)
    assert (slider["minimum"], slider["maximum"], slider["step"]) == (1, 30, 0.5)

    status, body = made["refused"]
    assert status == 422
    (problem,) = body["detail"]
    assert problem["loc"] == ["body", "alwayson_scripts"]
    assert problem["msg"] == "Hires guidance: [1] Hires CFG must be from 1 to 30, not 99"

    plain, guided = made["plain"], made["guided"]
    assert "Hires guidance: True, Hires CFG scale: 2, " in guided["text"]
    assert "guidance" not in plain["text"]
    assert guided["picture"] != plain["picture"]
    assert made["off"] == plain
    assert made["again"] == guided
    assert "guidance" not in made["single"]["text"]


def test_it_costs_what_it_says(page) -> None:
    script = page("adding-an-always-on-script")
    assert (len(script.files), script.lines) == (2, 25)
