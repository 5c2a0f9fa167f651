import json
import threading
import time

import pytest

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions, SavedOptions
from hexfusion.application.system.options import ChangeOptions, ReadOptions, UnusedOptions
from hexfusion.domain.errors import CheckpointError, NotFound, OptionError
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.options import REGISTRY, FrozenOption, Options, UnknownOption, WritePolicy
from tests.application.worlds import world

HELP = [key for key, option in REGISTRY.items() if option.explanation]
CHECKPOINTS = {"tiny", "tiny.safetensors", "tiny.safetensors [ffed4e688e]"}


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads((golden / "options.json").read_text("utf-8"))


@pytest.fixture
def store():
    return MemoryOptions()


def find_checkpoint(name):
    if name not in CHECKPOINTS:
        raise NotFound("checkpoint", name)


@pytest.fixture
def change(store):
    return ChangeOptions(store, find_checkpoint=find_checkpoint)


def without_help(body):
    return {key: value for key, value in body.items() if key not in HELP}


def loader_of(recorded):
    """What the recorded server's loader had written over the options."""
    written = {k: recorded["fresh"][k] for k in ("sd_model_checkpoint", "sd_checkpoint_hash")}
    return lambda options: written


def test_a_fresh_installation_shows_the_recorded_options(recorded, store):
    """Spec api.md 13.1; golden get/sdapi_v1_options. Help texts apart: their wording is ours."""
    body = ReadOptions(store, live=loader_of(recorded))()
    assert list(body) == list(recorded["fresh"])
    # compared as JSON text: 80 is not 80.0
    assert json.dumps(without_help(body)) == json.dumps(without_help(recorded["fresh"]))


def test_stored_options_are_typed_as_recorded(recorded):
    """Spec api.md 13.1: every option is stored, so every `num` one is shown as a float."""
    defaults = {key: option.default for key, option in REGISTRY.items()}
    store = MemoryOptions(SavedOptions(Options(defaults)))
    ChangeOptions(store, find_checkpoint=find_checkpoint)({"CLIP_stop_at_last_layers": "2"})
    body = ReadOptions(store, live=loader_of(recorded))()
    expected = {**recorded["fresh"], **recorded["stored"]["opt_strnum_after"]}
    assert json.dumps(without_help(body)) == json.dumps(without_help(expected))


def test_a_stored_default_is_typed_and_an_untouched_one_is_not(store, change):
    """Spec api.md 13.1."""
    assert repr(ReadOptions(store)()["jpeg_quality"]) == "80"
    change({"jpeg_quality": 80})
    assert repr(ReadOptions(store)()["jpeg_quality"]) == "80.0"
    change({"eta_noise_seed_delta": 31337})  # rule `any`: the default is falsy
    assert repr(ReadOptions(store)()["eta_noise_seed_delta"]) == "31337"


def test_what_extensions_add_is_listed_with_the_web_ui_only(store, change):
    """Spec api.md 1: POST accepts these in both modes."""
    change({"hypertile_enable_unet": True, "prioritized_callbacks_x": ["a"]})
    assert "hypertile_enable_unet" not in ReadOptions(store)()
    body = ReadOptions(store, web_ui=True)()
    assert body["hypertile_enable_unet"] is True
    assert len(body) == len(REGISTRY)
    assert not [key for key in body if key.startswith("prioritized_callbacks_")]


def test_values_are_plain_json(store):
    body = ReadOptions(store)()
    assert body["realesrgan_enabled_models"] == ["R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B"]
    assert json.loads(json.dumps(body)) == body


def test_changes_are_stored(store, change):
    change({"send_seed": False, "CLIP_stop_at_last_layers": "2"})
    assert store.snapshot().stored == {"send_seed": False, "CLIP_stop_at_last_layers": 2}


@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_a_checkpoint_is_chosen_by_any_of_its_names(store, change, name):
    change({"sd_model_checkpoint": name})
    assert store.snapshot()["sd_model_checkpoint"] == name


@pytest.mark.parametrize("name", ["nope", "", 5])
def test_a_checkpoint_that_does_not_exist_is_refused_and_nothing_changes(store, change, name):
    """Spec api.md 13.2 step 1; golden rest/opt_badckpt."""
    with pytest.raises(NotFound):
        change({"send_seed": False, "sd_model_checkpoint": name})
    assert store.snapshot() == Options()


def test_no_checkpoint_is_a_choice_too(store, change):
    """Golden rest/opt_nullckpt: 200."""
    change({"sd_model_checkpoint": "tiny"})
    change({"sd_model_checkpoint": None})
    assert store.snapshot() == Options()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"no_such_key": 1}, UnknownOption),
        ({"CLIP_stop_at_last_layers": "abc"}, OptionError),
        ({"hide_samplers": "x"}, OptionError),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changes(store, change, bad, error):
    """Golden rest/opt_unknown, opt_wrongtype, opt_list_type: the last two are 200 there, and the
    next GET is a 500.
    """
    with pytest.raises(error) as refused:
        change({"send_seed": False, **bad})
    assert refused.value.key in bad
    assert store.snapshot() == Options()


def test_restricted_help_and_null_members_are_ignored(store, change):
    """Spec api.md 13.2."""
    change({"api_enable_requests": False, "settings_in_ui": "x", "no_such_key": None})
    assert store.snapshot() == Options()


def test_frozen_settings_refuse_even_to_save(store):
    """Spec api.md 13.2 steps 2 and 3."""
    change = ChangeOptions(
        store, find_checkpoint=find_checkpoint, policy=WritePolicy(freeze_all=True)
    )
    with pytest.raises(FrozenOption, match="changing settings is disabled"):
        change({"send_seed": False})
    with pytest.raises(FrozenOption, match="saving settings is disabled"):
        change({})
    assert store.snapshot() == Options()


def test_callbacks_hear_of_real_changes_to_their_key(store):
    heard = []
    change = ChangeOptions(
        store,
        find_checkpoint=find_checkpoint,
        on_change={
            "sd_model_checkpoint": lambda options: heard.append(options["sd_model_checkpoint"])
        },
    )
    change({"sd_model_checkpoint": "tiny"})
    change({"sd_model_checkpoint": "tiny", "send_seed": False})
    assert heard == ["tiny"]


def test_a_callback_that_raises_refuses_the_change(store):
    """A1111 answers 200 and keeps the old value; here the client hears why."""

    def broken(options):
        raise CheckpointError("tiny.safetensors", "truncated")

    change = ChangeOptions(
        store, find_checkpoint=find_checkpoint, on_change={"sd_model_checkpoint": broken}
    )
    with pytest.raises(CheckpointError):
        change({"send_seed": False, "sd_model_checkpoint": "tiny"})
    assert store.snapshot() == Options()


def test_changes_take_turns_so_that_callbacks_and_store_agree(store):
    loaded = []
    first_is_loading, second_is_done = threading.Event(), threading.Event()

    def load(options):
        loaded.append(options["sd_model_checkpoint"])
        if len(loaded) == 1:
            first_is_loading.set()
            second_is_done.wait(timeout=0.2)  # in vain: the second has to wait for the first

    change = ChangeOptions(
        store, find_checkpoint=find_checkpoint, on_change={"sd_model_checkpoint": load}
    )
    first = threading.Thread(target=change, args=({"sd_model_checkpoint": "tiny"},))
    first.start()
    first_is_loading.wait(timeout=5)
    change({"sd_model_checkpoint": "tiny.safetensors"})
    second_is_done.set()
    first.join()
    assert loaded == ["tiny", "tiny.safetensors"]
    assert store.snapshot()["sd_model_checkpoint"] == loaded[-1]


@pytest.fixture
def warned(store):
    """What a change has the log say."""
    lines = []
    change = ChangeOptions(
        store, find_checkpoint=find_checkpoint, unused=UnusedOptions(lines.append)
    )

    def after(changes):
        lines.clear()
        change(changes)
        return list(lines)

    return after


def test_an_option_without_effect_is_stored_and_said_to_be_so_once(store, warned):
    """Spec api.md 17.6: A1111 stores these, and does not read them."""
    (line,) = warned({"ddim_discretize": "quad", "jpeg_quality": 90})
    assert "ddim_discretize" in line and "jpeg_quality" not in line
    assert REGISTRY["ddim_discretize"].without_effect in line
    assert store.snapshot()["ddim_discretize"] == "quad"
    assert warned({"ddim_discretize": "quad", "jpeg_quality": 91}) == []
    assert warned({"ddim_discretize": "uniform"}) == []


def test_a_default_is_nothing_to_warn_of(warned):
    """Clients send back all of what they got, numbers as floats (spec api.md 13.1)."""
    same = {key: option.default for key, option in REGISTRY.items() if not option.explanation}
    assert warned({**same, "memmon_poll_rate": 8.0}) == []


def test_options_without_effect_for_one_reason_are_told_together(warned):
    lines = warned({"send_seed": False, "send_size": False, "pin_memory": True})
    assert [("send_seed" in line, "send_size" in line, "pin_memory" in line) for line in lines] == [
        (True, True, False),
        (False, False, True),
    ]


def test_orders_of_callbacks_are_told_as_one_whatever_their_names(warned):
    (line,) = warned({f"prioritized_callbacks_{n}": ["a"] for n in range(50)})
    assert "prioritized_callbacks_*" in line and "prioritized_callbacks_7" not in line
    assert warned({"prioritized_callbacks_51": ["a"]}) == []


class SlowlyIgnored(dict):
    """Leaves a second thread time to look while the first has not yet noted what it tells."""

    def items(self):
        yield from super().items()
        time.sleep(0.05)


class Slow(Options):
    __slots__ = ()

    def ignored(self):
        return SlowlyIgnored(super().ignored())


def test_threads_that_set_the_same_option_are_told_once():
    lines, both = [], threading.Barrier(2)
    unused = UnusedOptions(lines.append)

    def tell():
        both.wait()
        unused(Slow({"send_seed": False}))

    threads = [threading.Thread(target=tell) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines) == 1


def test_what_a_request_overrides_without_effect_is_told_too(caplog):
    """Spec api.md 5.3."""
    txt2img = world().txt2img
    override = {"ddim_discretize": "quad", "pin_memory": False}
    for _ in range(2):
        txt2img(Txt2Img(steps=1, width=64, height=64, override_settings=override))
    (record,) = [each for each in caplog.records if "without effect" in each.message]
    assert "ddim_discretize" in record.message and "pin_memory" not in record.message
