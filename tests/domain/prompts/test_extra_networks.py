"""Extra-network tags, against spec prompts.md section 6."""

import time

import pytest

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.prompts.extra_networks import (
    HypernetUse,
    LoraUse,
    extract_networks,
    extract_networks_batch,
    hypernet_uses,
    lora_uses,
)


def loras(prompt):
    return lora_uses(extract_networks(prompt)[1])


def test_every_vector(prompt_vectors):
    # spec prompts.md section 6, V:extra_networks
    cases = prompt_vectors["extra_networks"]
    assert len(cases) == 24
    for case in cases:
        text, tags = extract_networks(case["input"])
        by_kind = {}
        for tag in tags:
            arguments = {"positional": list(tag.positional), "named": tag.named}
            by_kind.setdefault(tag.kind, []).append(arguments)
        assert {"prompt": text, "networks": by_kind} == case["expected"], case["input"]


def test_every_batch_vector(prompt_vectors):
    # spec prompts.md section 6, V:extra_networks_batch: the first prompt decides
    for case in prompt_vectors["extra_networks_batch"]:
        texts, tags = extract_networks_batch(case["input"])
        applied = {}
        for tag in tags:
            applied.setdefault(tag.kind, []).append(list(tag.positional))
        assert {"prompts": list(texts), "applied": applied} == case["expected"]


def test_an_empty_batch_has_no_tags():
    assert extract_networks_batch([]) == ((), ())


def test_lora_arguments_by_position_and_by_name():
    # spec prompts.md section 6.1
    assert loras("<lora:x>") == (LoraUse("x", 1.0, 1.0, None),)
    assert loras("<lora:x:0.5>") == (LoraUse("x", 0.5, 0.5, None),)
    assert loras("<lora:x:0.5:0.7:16>") == (LoraUse("x", 0.5, 0.7, 16),)
    assert loras("<lora:x:0.5:te=0.2:dyn=4>") == (LoraUse("x", 0.2, 0.2, 4),)
    assert loras("<lora:x:unet=0.5:0.7>") == (LoraUse("x", 0.7, 0.5, None),)


def test_lyco_follows_lora_and_a_repeated_name_takes_the_last_multipliers():
    # spec prompts.md sections 6 and 6.1
    uses = loras("<lyco:y:2><lora:x:1><lora:z><lora:x:3>")
    assert uses == (LoraUse("x", 3, 3), LoraUse("z"), LoraUse("x", 3, 3), LoraUse("y", 2, 2))


@pytest.mark.parametrize("tag", ["<lora:x:>", "<lora:x:abc>", "<lora:te=1>", "<lora:x:1:1:two>"])
def test_malformed_lora_tags_are_refused(tag):
    # spec prompts.md section 6.1: such a value makes the activation fail
    with pytest.raises(InvalidRequest):
        loras(tag)


def test_hypernets_stack_in_order():
    # spec prompts.md section 6.2
    _, tags = extract_networks("<hypernet:b:0.5> <lora:x:1> <hypernet:a>")
    assert hypernet_uses(tags) == (HypernetUse("b", 0.5), HypernetUse("a", 1.0))


def test_unclosed_tags_do_not_cost_quadratic_time():
    started = time.process_time()
    assert extract_networks("<a:" * 100_000) == ("<a:" * 100_000, ())
    assert time.process_time() - started < 1
