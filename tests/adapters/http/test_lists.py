"""What there is to choose from: members, nulls, order. Source: spec api.md 14, networks.md 6."""

import json

import pytest

from hexfusion.application.scripts.always_on.registry import SCRIPTS
from hexfusion.application.scripts.selectable.registry import IMG2IMG, TXT2IMG
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from hexfusion.domain.upscalers import IMAGE_UPSCALERS, LATENT_MODES

#: Scripts that A1111 has not, as they are listed.
OURS: frozenset[str] = frozenset()


def get(client, path):
    result = client.simulate_get(f"/sdapi/v1/{path}")
    assert result.status_code == 200
    return result.json


def test_loras(client):
    """The name is the file's, the alias the maker's; metadata that is an object comes as one."""
    assert get(client, "loras") == [
        {
            "name": "tinylora",
            "alias": "tiny lora",
            "path": "Lora/tinylora.safetensors",
            "metadata": {
                "ss_tag_frequency": {"10_cat": {"cat": 10}},
                "ss_base_model_version": "sd_v1-5",
                "ss_output_name": "tiny lora",
            },
        }
    ]


def test_hypernetworks(client):
    assert get(client, "hypernetworks") == [{"name": "apihn2", "path": "hypernetworks/apihn2.pt"}]


def test_embeddings(client):
    nothing = {"sd_checkpoint": None, "sd_checkpoint_name": None}
    assert get(client, "embeddings") == {
        "loaded": {"tinyti": {"step": 100, **nothing, "shape": 64, "vectors": 2}},
        "skipped": {"wrongdim": {"step": None, **nothing, "shape": 768, "vectors": 1}},
    }


def test_upscalers(client):
    shown = get(client, "upscalers")
    assert [each["name"] for each in shown] == list(IMAGE_UPSCALERS)
    assert shown[1] == {
        "name": "Lanczos", "model_name": None, "model_path": None, "model_url": None, "scale": 4.0
    }  # fmt: skip


def test_face_restorers(client):
    """Only what can be used: the world has one."""
    assert get(client, "face-restorers") == [{"name": "CodeFormer", "cmd_dir": None}]


def test_latent_upscale_modes(client):
    assert get(client, "latent-upscale-modes") == [{"name": name} for name in LATENT_MODES]


@pytest.mark.parametrize("path", ["realesrgan-models", "extensions"])
def test_what_there_is_none_of(client, path):
    assert get(client, path) == []


def test_vaes_are_modules_too(client):
    """SillyTavern asks A1111's route and Forge's."""
    assert get(client, "sd-modules") == get(client, "sd-vae") != []


def test_scripts(client, shared):
    """Spec scripts.md 3: titles in order of registration; of those listed here, Hypertile has no
    arguments and so is no entry of script-info."""
    titles, of_pictures = (
        [
            *(each.title.lower() for each in selectable),
            *(each.name for each in SCRIPTS if kind in each.kinds and each.listing != "hidden"),
        ]
        for kind, selectable in ((Txt2Img, TXT2IMG), (Img2Img, IMG2IMG))
    )
    assert "soft inpainting" in set(of_pictures) - set(titles)
    assert get(client, "scripts") == {"txt2img": titles, "img2img": of_pictures}
    recorded = json.loads((shared / "golden/get/sdapi_v1_scripts.json").read_text())["body"]
    for kind, ours in (("txt2img", titles), ("img2img", of_pictures)):
        theirs = [title for title in ours if title not in OURS]
        assert [title for title in recorded[kind] if title in theirs] == theirs
        assert set(recorded[kind]) - set(theirs) <= {"x/y/z plot"}
    described = get(client, "script-info")
    for each in described:
        assert each["is_alwayson"] is (each["name"] in {script.name for script in SCRIPTS})
    for is_img2img, listed in ((False, titles), (True, of_pictures)):
        names = [each["name"] for each in described if each["is_img2img"] is is_img2img]
        assert names == [title for title in listed if title != "Hypertile"]


def test_scripts_are_described_as_recorded(client, shared):
    """Recording get/sdapi_v1_script_info, entry by entry, but for the notes (label "") in forms,
    whose words are ours, and the upscalers to choose from, which are those that are here."""
    recorded = json.loads((shared / "golden/get/sdapi_v1_script_info.json").read_text())["body"]
    theirs = {(each["name"], each["is_img2img"]): each for each in recorded}
    described = get(client, "script-info")
    for ours in (each for each in described if each["name"] not in OURS):
        their = theirs[ours["name"], ours["is_img2img"]]
        for argument, model in zip(ours["args"], their["args"], strict=True):
            if argument["label"] == "":
                assert isinstance(argument["value"], str)
                argument["value"] = model["value"]
            if argument["label"] == "Upscaler":
                assert argument["choices"] == ["None"]
                argument["choices"] = model["choices"]
        assert ours == their


def test_version(client):
    assert get(client, "version") == {"app": "hexfusion", "version": "1.2.3", "a1111": "v1.10.1"}
