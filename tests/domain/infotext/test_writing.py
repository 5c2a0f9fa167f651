"""Writing infotext, against spec prompts.md sections 8.1 and 8.2."""

import json

import msgspec
import pytest

from hexfusion.domain.infotext.generation_facts import (
    GenerationFacts,
    PerImage,
    info_parameters,
    infotext_parameters,
)
from hexfusion.domain.infotext.quoting import quote, unquote
from hexfusion.domain.infotext.writing import write_infotext

# What the reference's function was given for the vectors, as far as their texts show it.
PROMPTS = ("first prompt", "second prompt")
NEGATIVES = ("bad", "worse")
VECTOR_FACTS = GenerationFacts(
    steps=20,
    sampler="Euler a",
    scheduler="Automatic",
    cfg_scale=7.0,
    seed=12,
    width=512,
    height=640,
    model_hash="0123456789",
    model="my model",
    subseed=22,
    version="v1.10.1",
)


def test_every_quoting_vector(prompt_vectors):
    # spec prompts.md section 8.1, V:quote
    cases = prompt_vectors["quote"]
    assert len(cases) == 13
    for case in cases:
        assert quote(case["input"]) == case["expected"]
        assert unquote(case["expected"]) == case["roundtrip"]


def facts_of(case):
    """A vector's changed fields and options, as an application would turn them into facts."""
    fields, options = case["changed_fields"], case["options"]
    changes = {}
    renamed = {
        "sd_vae_name": "vae",
        "sd_vae_hash": "vae_hash",
        "subseed_strength": "subseed_strength",
        "seed_resize_from_w": "seed_resize_from_width",
        "seed_resize_from_h": "seed_resize_from_height",
        "sd_model_name": "model",
        "tiling": "tiling",
    }
    for name, fact in renamed.items():
        if name in fields:
            changes[fact] = fields[name]
    if fields.get("restore_faces"):
        changes["face_restoration"] = "CodeFormer"
    if fields.get("is_using_inpainting_conditioning"):
        changes["conditional_mask_weight"] = 1.0
    if "extra_generation_params" in fields:
        changes["extra"] = dict(fields["extra_generation_params"])
        if "Fn" in changes["extra"]:
            changes["extra"]["Fn"] = PerImage(("i0", "i1"))
    changes["clip_skip"] = options.get("CLIP_stop_at_last_layers", 1)
    changes["ensd"] = options.get("eta_noise_seed_delta", 0)
    changes["rng"] = options.get("randn_source", "GPU")
    hidden = {
        "add_model_hash_to_info": "model_hash",
        "add_model_name_to_info": "model",
        "add_version_to_infotext": "version",
    }
    for option, fact in hidden.items():
        if not options.get(option, True):
            changes[fact] = None
    return msgspec.structs.replace(VECTOR_FACTS, **changes)


def test_every_vector(prompt_vectors):
    # spec prompts.md section 8.2, V:infotext_write
    cases = prompt_vectors["infotext_write"]
    assert len(cases) == 7
    for case in cases:
        index = case["index"]
        negatives = case["changed_fields"].get("all_negative_prompts", NEGATIVES)
        parameters = infotext_parameters(facts_of(case), index)
        text = write_infotext(PROMPTS[index], negatives[index], parameters)
        assert text == case["expected"], case["case"]


def test_keys_are_written_in_the_specified_order():
    # spec prompts.md section 8.2, rows 1 to 26 and the last two
    facts = GenerationFacts(
        steps=1,
        sampler="Euler",
        scheduler="Karras",
        cfg_scale=7.0,
        seed=3,
        width=64,
        height=32,
        image_cfg_scale=1.5,
        face_restoration="GFPGAN",
        model_hash="aa",
        model="m",
        fp8_weight="Enable",
        cache_fp16_weight=False,
        vae_hash="bb",
        vae="v.pt",
        subseed=4,
        subseed_strength=0.5,
        seed_resize_from_width=8,
        seed_resize_from_height=16,
        denoising_strength=0.75,
        conditional_mask_weight=1.0,
        clip_skip=2,
        ensd=31337,
        token_merging_ratio=0.1,
        token_merging_ratio_hr=0.2,
        init_image_hash="cc",
        rng="CPU",
        tiling=True,
        extra={"Hires upscale": 2.0, "Schedule type": "Beta"},
        version="v1",
        user="me",
    )
    assert write_infotext("", "", infotext_parameters(facts)) == (
        "Steps: 1, Sampler: Euler, Schedule type: Beta, CFG scale: 7.0, Image CFG scale: 1.5, "
        "Seed: 3, Face restoration: GFPGAN, Size: 64x32, Model hash: aa, Model: m, "
        "FP8 weight: Enable, Cache FP16 weight for LoRA: False, VAE hash: bb, VAE: v.pt, "
        "Variation seed: 4, Variation seed strength: 0.5, Seed resize from: 8x16, "
        "Denoising strength: 0.75, Conditional mask weight: 1.0, Clip skip: 2, ENSD: 31337, "
        "Token merging ratio: 0.1, Token merging ratio hr: 0.2, Init image hash: cc, RNG: CPU, "
        "Tiling: True, Hires upscale: 2.0, Version: v1, User: me"
    )


def test_an_extra_key_keeps_the_slot_of_a_fact_that_was_absent():
    # spec prompts.md section 8.2, row 27
    facts = msgspec.structs.replace(
        VECTOR_FACTS, clip_skip=2, extra={"Z": 1, "Denoising strength": 0.5}
    )
    line = write_infotext("p", "", infotext_parameters(facts))
    assert "Denoising strength: 0.5, Clip skip: 2, Z: 1, Version" in line


def test_info_shows_lists_but_not_computed_values():
    # spec api.md section 9, extra_generation_params
    extra = {"a": 1, "b": ["x", "y"], "Hires prompt": PerImage(("p", None))}
    assert info_parameters(extra) == {"a": 1, "b": ["x", "y"], "Hires prompt": None}
    facts = msgspec.structs.replace(VECTOR_FACTS, extra=extra)
    assert infotext_parameters(facts, 0)["Hires prompt"] == "p"
    assert infotext_parameters(facts, 1)["Hires prompt"] is None
    assert infotext_parameters(facts, 1)["b"] == "y"


RECORDED = ["default", "samplers", "schedulers", "prompts", "options", "fields", "hires", "img2img"]


@pytest.mark.parametrize("section", RECORDED)
def test_recorded_infotext_follows_from_the_recorded_facts(shared, section):
    """The facts in a recorded reply's `info`, and in its request, give the reply's infotext."""
    compared = 0
    for path in sorted((shared / "golden" / section).glob("*.json")):
        record = json.loads(path.read_text())
        info = json.loads(record["body"].get("info", "null"))
        if info is None:
            continue
        for place, recorded in enumerate(info["infotexts"][info["index_of_first_image"] :]):
            facts = facts_of_recording(info, record["request"]["json"] or {}, place)
            prompts = info["all_prompts"][place], info["all_negative_prompts"][place]
            assert write_infotext(*prompts, infotext_parameters(facts)) == recorded, path
            compared += 1
    assert compared > 0


def facts_of_recording(info, request, place):
    options = request.get("override_settings") or {}
    extra = info["extra_generation_params"]
    for label, field in {
        "Hires prompt": "hr_prompt",
        "Hires negative prompt": "hr_negative_prompt",
    }.items():
        if label in extra:  # computed by picture, so null in the info (spec api.md 9)
            extra[label] = request.get(field) or None
    uses_ensd = info["sampler_name"] in ("Euler a", "DPM2 a", "DPM++ 2S a")
    return GenerationFacts(
        steps=info["steps"],
        sampler=info["sampler_name"],
        scheduler="Automatic",
        cfg_scale=info["cfg_scale"],
        seed=info["all_seeds"][place],
        width=info["width"],
        height=info["height"],
        face_restoration=info["face_restoration_model"],
        model_hash=info["sd_model_hash"] if options.get("add_model_hash_to_info", True) else None,
        model=info["sd_model_name"] if options.get("add_model_name_to_info", True) else None,
        vae=info["sd_vae_name"],
        vae_hash=info["sd_vae_hash"],
        subseed=info["all_subseeds"][place],
        subseed_strength=info["subseed_strength"],
        seed_resize_from_width=info["seed_resize_from_w"],
        seed_resize_from_height=info["seed_resize_from_h"],
        clip_skip=info["clip_skip"],
        ensd=options.get("eta_noise_seed_delta", 0) if uses_ensd else 0,
        token_merging_ratio=options.get("token_merging_ratio", 0),
        rng=options.get("randn_source", "GPU"),
        tiling=request.get("tiling") or options.get("tiling", False),
        extra=extra,
        version=info["version"] if options.get("add_version_to_infotext", True) else None,
    )
