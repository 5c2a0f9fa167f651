"""Spec api.md 16: the command line in a report, without secrets."""

from hexfusion.domain.flags import command_line, parse_flags


def test_secrets_are_hidden():
    given = ["--api-auth", "me:secret", "--port", "80", "--listen", "--use-cpu", "all", "vae"]
    given += ["--styles-file", "a.csv", "--styles-file", "b.csv"]
    flags = parse_flags(given, {}, absolute=str)
    assert command_line(flags) == [
        "--use-cpu", "all", "vae", "--listen", "--port", "80",
        "--styles-file", "a.csv", "b.csv", "--api-auth", "<hidden>",
    ]  # fmt: skip
