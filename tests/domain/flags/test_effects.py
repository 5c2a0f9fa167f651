"""What flags do here, and what is said about those that do nothing (spec api.md 1)."""

import pytest

from domain.flags import A1111, FLAGS, OWN, Effect, Flags, help_text, parse_flags


def parse(*argv: str) -> Flags:
    return parse_flags(argv, {}, absolute=str)


def test_flags_without_effect_are_named_as_written():
    flags = parse("--xformers", "--port", "1", "--medvram", "--api", "--nowebui")
    assert flags.ignored() == ["--medvram", "--xformers"]


@pytest.mark.parametrize(
    "argv",
    ["--api-auth u:p", "--tls-keyfile k", "--tls-certfile c", "--cors-allow-origins *",
     "--cors-allow-origins-regex .*"],
)  # fmt: skip
def test_flags_that_protect_or_open_are_not_dropped_in_silence(argv):
    option, value = argv.split()
    effect = FLAGS[option[2:].replace("-", "_")].effect
    assert effect in (Effect.REFUSED, Effect.WORKS)
    assert parse(option, value).refused() == ([option] if effect is Effect.REFUSED else [])
    assert parse(option, value).ignored() == []


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
    order = [text.index(o) for o in ("--port N", " --nowebui", "--api-auth", "--xformers")]
    assert order == sorted(order)
    assert max(map(len, text.splitlines())) <= 100
