"""`GET /cmd-flags` against what the real server answered (spec api.md 1, 1.1)."""

import json
from pathlib import Path

import pytest

from hexfusion.domain.flags import A1111, OWN, FlagKind, parse_flags

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/cmd_flags.json").read_text("utf-8"))
#: How the recorded server was started.
RECORDED_ARGV = (
    "--skip-python-version-check --skip-torch-cuda-test --skip-prepare-environment"
    " --data-dir <root> --no-half --use-cpu all --port 7861 --api --nowebui --server-name 127.0.0.1"
    " --no-download-sd-model --api-server-stop"
)
TYPES = {"boolean": bool, "string": str, "integer": int, "array": list, "object": dict}


def absolute(path: str) -> str:
    """A machine whose current folder is `<root>`."""
    return path if path.startswith(("/", "<root>")) else f"<root>/{path.removeprefix('./')}"


def wire(argv: str, **environ: str) -> dict[str, object]:
    return parse_flags(argv.split(), environ, absolute=absolute).wire()


def test_the_recorded_start_gives_the_recorded_answer_key_by_key_in_order():
    assert list(wire(RECORDED_ARGV).items()) == list(GOLDEN["recorded"].items())


def test_the_recording_is_the_one_in_shared(shared):
    path = shared / "golden/get/sdapi_v1_cmd_flags.json"
    assert json.loads(path.read_text("utf-8"))["body"] == GOLDEN["recorded"]


@pytest.mark.parametrize("key", list(GOLDEN["schema"]))
def test_defaults_and_types_are_those_of_the_schema(key):
    schema = GOLDEN["schema"][key]
    value = wire("--data-dir <root>")[key]
    if value is not None:
        assert type(value) is TYPES[schema["type"]]
    if key == "gfpgan_dir":
        assert value == "<root>/GFPGAN"  # runtime notes: absolute, unlike the schema's default
    elif key == "styles_file":
        assert value == ["<root>/styles.csv"]  # runtime notes
    else:
        assert value == schema.get("default")


VALUES = {
    FlagKind.TEXT: "x",
    FlagKind.INTEGER: "1",
    FlagKind.PATH: "/x",
    FlagKind.PATHS: "/x",
    FlagKind.WORDS: "x",
}


@pytest.mark.parametrize("flag", A1111, ids=lambda flag: flag.dest)
def test_a_given_flag_is_typed_as_its_default_or_else_as_text(flag):
    value = VALUES.get(flag.kind, '{"x":"y"}')
    word = flag.choices[0] if flag.choices else value
    argv = flag.option if flag.kind is FlagKind.SWITCH else f"{flag.option} {word}"
    assert type(wire(argv)[flag.dest]) is TYPES[GOLDEN["schema"][flag.dest]["type"]]


def test_a_number_or_switch_without_default_comes_back_as_text():
    assert wire("--port 7861")["port"] == "7861"
    assert wire("--disable-tls-verify")["disable_tls_verify"] == "False"


def test_our_own_flags_are_not_shown():
    assert not {flag.dest for flag in OWN} & set(wire("--slots 2"))


def test_secrets_are_not_shown():
    """A1111 shows them to whoever asks."""
    shown = wire(
        "--api-auth me:hunter2 --gradio-auth me:hunter2 --ngrok hunter2"
        ' --ngrok-options {"a":"hunter2"}'
    )
    assert "hunter2" not in json.dumps(shown)
    assert (shown["api_auth"], shown["ngrok_options"]) == ("***", {"a": "***"})


def test_a_models_folder_moves_what_lies_in_it():
    shown = wire("--data-dir /d --models-dir /m")
    assert shown["lora_dir"] == "/m/Lora"
    assert shown["embeddings_dir"] == "/d/embeddings"
    assert shown["models_dir"] == "/m"
