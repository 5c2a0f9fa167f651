"""What flags do here, and what is said about those that do nothing (spec api.md 1)."""

import pytest

from hexfusion.domain.flags import (
    A1111,
    FLAGS,
    OWN,
    FlagEffect,
    FlagError,
    Flags,
    help_text,
    parse_flags,
)


def parse(*argv: str) -> Flags:
    return parse_flags(argv, {}, absolute=str)


def test_flags_without_effect_are_named_as_written():
    flags = parse("--xformers", "--port", "1", "--allow-code", "--api", "--nowebui")
    assert flags.ignored() == ["--allow-code", "--xformers"]


#: They protect the server or open it: dropping one in silence would be worse than not starting.
GUARDS = ("api_auth", "tls_keyfile", "tls_certfile", "cors_allow_origins",
          "cors_allow_origins_regex", "api_auth_file", "api_token_file", "api_rate")  # fmt: skip


@pytest.mark.parametrize("dest", GUARDS)
def test_flags_that_protect_or_open_work(dest):
    assert FLAGS[dest].effect is FlagEffect.WORKS
    assert parse(FLAGS[dest].option, "x").ignored() == []


#: Users with little memory know these: each works, or what it asks for is so anyway.
MEMORY = ("medvram", "medvram_sdxl", "lowvram", "lowram", "no_half", "no_half_vae", "precision",
          "upcast_sampling", "use_cpu", "opt_channelslast")  # fmt: skip


@pytest.mark.parametrize("dest", MEMORY)
def test_flags_about_memory_and_precision_are_heeded(dest):
    assert FLAGS[dest].effect is not FlagEffect.NONE


@pytest.mark.parametrize("other", ["--no-half", "--no-half-vae"])
def test_precisions_that_contradict_each_other_are_refused_at_start(other):
    """As A1111 refuses them."""
    with pytest.raises(FlagError, match=f"--precision: half contradicts {other}"):
        parse("--precision", "half", other)
    assert parse("--precision", "full", "--no-half", "--no-half-vae")["precision"] == "full"


def test_the_freeze_and_hide_flags_become_a_policy():
    policy = parse(
        "--freeze-settings-in-sections", "saving-images, sd,",
        "--freeze-specific-settings=samples_save", "--hide-ui-dir-config",
    ).write_policy()  # fmt: skip
    assert policy.freeze_sections == {"saving-images", "sd"}
    assert policy.freeze_keys == {"samples_save"}
    assert policy.lock_paths and not policy.freeze_all
    assert parse("--freeze-settings").write_policy().freeze_all


def test_no_two_flags_share_a_name():
    assert len(FLAGS) == len(A1111) + len(OWN)


def test_help_names_every_flag():
    assert {flag.option for flag in FLAGS.values()} <= set(help_text().split())


def test_help_lists_what_works_first():
    text = help_text()
    order = [text.index(o) for o in ("--port N", "--api-rate TEXT", " --nowebui", "--xformers")]
    assert order == sorted(order)
    assert max(map(len, text.splitlines())) <= 100
