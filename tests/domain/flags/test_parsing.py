"""Reading the command line (spec api.md 1)."""

import posixpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexfusion.domain.flags import A1111, FLAGS, Flag, FlagError, FlagKind, Flags, parse_flags


def parse(*argv: str, **environ: str) -> Flags:
    return parse_flags(argv, environ, absolute=lambda path: posixpath.join("/here", path))


def test_nothing_given():
    flags = parse()
    assert flags["data_dir"] == "/here/data"
    assert (flags.host, flags.port) == ("127.0.0.1", 7861)
    assert (flags["slots"], flags["queue"], flags["backend"]) == (1, 32, "torch")
    assert flags.threads is None
    assert flags.max_body == 64 * 1024 * 1024
    assert flags.given == frozenset()
    assert not (flags.ignored() or flags.unknown)


def test_a_value_follows_after_a_space_or_an_equals_sign():
    assert parse("--port", "80")["port"] == parse("--port=80")["port"] == 80
    assert parse("--ckpt-dir=a=b")["ckpt_dir"] == "/here/a=b"


def test_the_last_one_counts_and_the_environment_comes_last():
    assert parse("--port", "1", "--port", "2")["port"] == 2
    flags = parse("--port", "1", COMMANDLINE_ARGS="--port 2 --data-dir 'my data'")
    assert (flags["port"], flags["data_dir"]) == (2, "/here/my data")
    assert flags.given == {"port", "data_dir"}


def test_the_data_folder():
    assert parse(HEXFUSION_DATA="/elsewhere")["ui_settings_file"] == "/elsewhere/config.json"
    assert parse("--data-dir", "x", HEXFUSION_DATA="/elsewhere")["data_dir"] == "/here/x"
    assert parse(HEXFUSION_DATA="")["data_dir"] == "/here/data"


def test_a_placeholder_is_expanded_in_defaults_only():
    assert parse("--ckpt-dir", "{data}/x")["ckpt_dir"] == "/here/{data}/x"


def test_the_models_folder():
    assert parse("--data-dir", "/d").models_dir == "/d/models"
    assert parse("--data-dir", "/d", "--models-dir", "m").models_dir == "/here/m"


def test_the_address():
    assert parse("--listen").host == "0.0.0.0"
    assert parse("--listen", "--server-name", "::1").host == "::1"


def test_a_unique_beginning_is_enough():
    assert parse("--lyco-dir", "/x")["lyco_dir_backcompat"] == "/x"
    assert parse("--api").given == {"api"}  # exact, though others begin so
    with pytest.raises(FlagError, match="--freeze-settings-in-sections"):
        parse("--freeze")


def test_lists():
    assert parse("--use-cpu", "All", "UNET", "--api")["use_cpu"] == ("all", "unet")
    flags = parse("--styles-file", "a.csv", "--styles-file", "/b/*.csv")
    assert flags["styles_file"] == ("/here/a.csv", "/b/*.csv")


def test_a_choice_may_be_written_in_any_case():
    assert parse("--loglevel", "debug")["loglevel"] == "DEBUG"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--prot 80", "--prot: no such flag; did you mean --port?; see --help"),
        ("80", "80: no such flag; see --help"),
        ("--", "--: no such flag"),
        ("--port", "--port: a value must follow"),
        ("--port --api", "--port: a value must follow"),
        ("--port 8x", "--port: must be a whole number, not '8x'"),
        ("--port -1", "--port: must be at least 0, not -1"),
        ("--port 65536", "--port: must be at most 65535, not 65536"),
        ("--slots 0", "--slots: must be at least 1, not 0"),
        ("--api=yes", "--api: takes no value, but was given 'yes'"),
        ("--ckpt-dir=", "--ckpt-dir: must name a path"),
        ("--precision x", "--precision: must be one of full, half, autocast, not 'x'"),
        ("--ngrok-options {", "--ngrok-options: must be a JSON object"),
        ("--ngrok-options [1]", "--ngrok-options: must be a JSON object"),
    ],
)
def test_what_cannot_be_understood_is_an_error_naming_the_flag(argv, message):
    with pytest.raises(FlagError) as refused:
        parse(*argv.split())
    assert str(refused.value).startswith(message)


def test_an_open_quote_in_the_environment():
    with pytest.raises(FlagError, match="COMMANDLINE_ARGS"):
        parse(COMMANDLINE_ARGS="--ckpt 'x")


def test_unknown_flags_can_be_let_through_but_not_wrong_values():
    flags = parse("--their-flag=1", "--port", "80", "x", IGNORE_CMD_ARGS_ERRORS="")
    assert flags["port"] == 80
    assert flags.unknown == ("--their-flag=1", "x")
    with pytest.raises(FlagError):
        parse("--port", "x", IGNORE_CMD_ARGS_ERRORS="1")


def test_flags_cannot_be_changed():
    flags = parse()
    with pytest.raises(TypeError):
        flags.values["port"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        flags.given = frozenset()  # type: ignore[misc]


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        parse()["no_such_flag"]


WORD = st.text("abcXYZ019 ._/'\"=*ü-", min_size=1, max_size=8).filter(lambda w: w[0] != "-")


@st.composite
def given_flags(draw: st.DrawFn) -> dict[str, object]:
    """Values for some of A1111's flags."""
    flags = draw(st.lists(st.sampled_from(A1111), unique_by=lambda f: f.dest, max_size=6))
    return {flag.dest: draw(_value(flag)) for flag in flags}


def _value(flag: Flag) -> st.SearchStrategy[object]:
    match flag.kind:
        case FlagKind.SWITCH:
            return st.just(flag.default is not None)
        case FlagKind.INTEGER:
            return st.integers(-99 if flag.least is None else flag.least, flag.most or 99)
        case FlagKind.PATH:
            return WORD.map("/".__add__)
        case FlagKind.PATHS:
            return st.lists(WORD.map("/".__add__), min_size=1, max_size=3).map(tuple)
        case FlagKind.WORDS:
            return st.lists(WORD.map(str.lower), min_size=1, max_size=3).map(tuple)
        case FlagKind.OBJECT:
            return st.just({"a": 1})
    return st.sampled_from(flag.choices) if flag.choices else WORD


def _tokens(flag: Flag, value: object) -> list[str]:
    match flag.kind:
        case FlagKind.SWITCH:
            return [flag.option]
        case FlagKind.PATHS:
            return [token for path in value for token in (flag.option, path)]
        case FlagKind.WORDS:
            return [flag.option, *value]
        case FlagKind.OBJECT:
            return [flag.option, '{"a": 1}']
    return [flag.option, str(value)]


@settings(max_examples=60)
@given(given_flags())
def test_what_is_given_is_read_back_and_all_else_keeps_its_default(values):
    flags = parse(*(token for dest, v in values.items() for token in _tokens(FLAGS[dest], v)))
    assert flags.given == values.keys()
    assert {dest: flags[dest] for dest in values} == values
    untouched = {"--data-dir", "--models-dir"} & {FLAGS[dest].option for dest in values}
    if not untouched:
        defaults = parse()
        assert all(flags[dest] == defaults[dest] for dest in FLAGS.keys() - values.keys())
