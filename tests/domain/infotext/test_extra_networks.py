"""Networks in infotext, against spec prompts.md section 8.5 (import hooks) and 6.1."""

from hexfusion.domain.infotext.extra_networks import (
    add_foreign_loras,
    format_hashes,
    read_hashes,
    rename_loras,
)


def test_additional_networks_become_tags():
    parsed = {
        "Prompt": "a cat",
        "AddNet Module 1": "LoRA",
        "AddNet Model 1": "sketch(0123abcd) (0123abcd)",
        "AddNet Weight A 1": "0.7",
        "AddNet Module 2": "LoCon",
        "AddNet Model 2": "other (ffff)",
        "AddNet Module 3": "LoRA",
        "AddNet Model 3": "ink",
    }
    assert add_foreign_loras(parsed) == "a cat\n<lora:sketch(0123abcd):0.7><lora:ink:1.0>"
    assert add_foreign_loras({"Prompt": "a cat"}) == "a cat"


def test_loras_take_the_name_they_have_here():
    parsed = {
        "Prompt": "<lora:theirs:1> <lora:gone:1> <lora:unlisted:1>",
        "Lora hashes": "theirs: 0123456789ab, gone: ffffffffffff",
    }
    local = {"0123456789ab": "ours"}
    renamed = "<lora:ours:1> <lora:gone:1> <lora:unlisted:1>"
    assert rename_loras(parsed, local.get) == renamed


def test_hashes_are_listed_and_read_back():
    # spec prompts.md section 6.1
    text = format_hashes([("a:b,c", "01"), ("none", None), ("d", "02")])
    assert text == "abc: 01, d: 02"
    assert read_hashes(text) == {"abc": "01", "d": "02"}
    assert format_hashes([]) is None
