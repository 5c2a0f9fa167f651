"""Which networks a job uses, and what is told of them (spec prompts.md 6 and 7.4)."""

import json
import struct

import pytest

from hexfusion.adapters.storage.catalogues.extra_networks_memory import MemoryNetworks
from hexfusion.application.generation.extra_networks import ExtraNetworks, comments_of
from hexfusion.application.planning import JobPlan
from hexfusion.application.planning.texts import Prompts
from hexfusion.application.ports.inference import Rendered
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.extra_networks import UsedEmbedding
from hexfusion.domain.options import Options
from hexfusion.domain.plan import HiresPlan, NoisePlan, Plan, SamplingPlan, TextPlan
from hexfusion.domain.sampling.samplers import SAMPLERS


def safetensors(shape=(1, 8), **metadata):
    entry = {"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
    header = json.dumps({**entry, "__metadata__": metadata}).encode()
    return struct.pack("<Q", len(header)) + header


FILES = {
    "Lora/cat.safetensors": safetensors(ss_output_name="Feline", sshs_model_hash="ca7" * 21),
    "Lora/dog.safetensors": safetensors(ss_output_name="Feline", sshs_model_hash="d09" * 21),
    "Lora/fish.safetensors": safetensors(ss_output_name="cat", sshs_model_hash="f15" * 21),
    "hypernetworks/hn.pt": b"",
    "embeddings/ti.safetensors": safetensors(),
}


@pytest.fixture
def files():
    return dict(FILES)


@pytest.fixture
def networks(files):
    return ExtraNetworks(MemoryNetworks(files))


def job(*prompts, batch_size=1, hires=None):
    checkpoint = Checkpoint(name="m.safetensors", filename="/m.safetensors")
    sampling = SamplingPlan(sampler=SAMPLERS[0], scheduler="Automatic", steps=1)
    common = {
        "checkpoint": checkpoint,
        "width": 64,
        "height": 64,
        "text": TextPlan(positive=(), negative=()),
        "sampling": sampling,
    }
    second = HiresPlan(**common, upscaler="Latent", denoising_strength=0.5) if hires else None
    seeds = tuple(range(batch_size))
    plan = Plan(**common, noise=NoisePlan(seeds=seeds, subseeds=seeds), hires=second)
    texts = Prompts(prompts, ("",) * len(prompts))
    return JobPlan(
        batches=(plan,) * (len(prompts) // batch_size),
        width=64,
        height=64,
        resize=(0, 0),
        prompts=texts,
        hires_prompts=Prompts((hires or "",) * len(prompts), texts.negative),
        seeds=seeds,
        subseeds=seeds,
    )


def loras(networks, prompt, **options):
    plan = networks.planned(job(prompt), Options(options))
    return [(use.path, use.te, use.unet, use.dyn) for use in plan.first.networks.loras]


def test_a_lora_by_name_with_its_multipliers(networks):
    assert loras(networks, "a <lora:dog:0.5:0.25:4> b") == [("Lora/dog.safetensors", 0.5, 0.25, 4)]


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("dog", "Lora/dog.safetensors"),
        ("cat", "Lora/cat.safetensors"),  # an alias of fish too, and so only a file's name
        ("Feline", None),  # an alias of two
        ("none", None),
    ],
)
def test_words_that_mean_two_are_names_of_files_only(networks, word, path):
    """Spec networks.md 2.1."""
    assert [each[0] for each in loras(networks, f"<lora:{word}:1>")] == ([path] if path else [])


def test_an_alias(files):
    files["Lora/bird.safetensors"] = safetensors(ss_output_name="My bird")
    found = loras(ExtraNetworks(MemoryNetworks(files)), "<lora:My bird>")
    assert found == [("Lora/bird.safetensors", 1.0, 1.0, None)]


def test_a_lora_that_came_later_is_looked_for(files, networks):
    files["Lora/new.pt"] = b""
    assert loras(networks, "<lora:new:1>") == [("Lora/new.pt", 1.0, 1.0, None)]


def test_the_first_prompt_of_each_batch_decides(networks):
    texts = ("a <lora:cat:1>", "b <lora:dog:1>", "c", "d <lora:dog:1>")
    plan = networks.planned(job(*texts, batch_size=2), Options())
    found = [[use.name for use in each.networks.loras] for each in plan.batches]
    assert found == [["cat"], []]


def test_the_second_pass_goes_by_its_own_prompt(networks):
    plan = networks.planned(job("a <lora:cat:1>", hires="b <lora:dog:1>"), Options())
    assert plan.first.hires is not None
    assert [use.name for use in plan.first.networks.loras] == ["cat"]
    assert [use.name for use in plan.first.hires.networks.loras] == ["dog"]


def test_nothing_is_used_where_it_is_disabled_but_embeddings(networks):
    options = Options({"sd_lora": "cat"})
    plan = networks.planned(job("a <lora:cat:1> <hypernet:hn>"), options, disabled=True)
    assert plan.first.networks.loras == plan.first.networks.hypernetworks == ()
    assert [each.name for each in plan.first.networks.embeddings] == ["ti"]
    assert plan.prompts.positive == ("a <lora:cat:1> <hypernet:hn>",)


def test_options_add_networks_to_every_prompt(networks):
    options = Options(
        {"sd_lora": "cat", "sd_hypernetwork": "hn", "extra_networks_default_multiplier": 0.5}
    )
    plan = networks.planned(job("a", "b"), options)
    assert plan.prompts.positive == tuple(f"{each}<lora:cat:0.5><hypernet:hn:0.5>" for each in "ab")
    (lora,), (hypernetwork,) = plan.first.networks.loras, plan.first.networks.hypernetworks
    assert (lora.te, lora.unet, hypernetwork.multiplier) == (0.5, 0.5, 0.5)


def test_options_add_nothing_that_is_there(networks):
    prompt = "a <lora:cat:0.3>"
    plan = networks.planned(job(prompt), Options({"sd_lora": "cat", "sd_hypernetwork": "None"}))
    assert plan.prompts.positive == (prompt,)
    assert plan.first.networks.comments == ()


def test_loras_may_be_merged_at_each_call(networks):
    """Option lora_functional."""
    plans = [networks.planned(job("a"), Options({"lora_functional": on})) for on in (True, False)]
    assert [plan.first.networks.functional for plan in plans] == [True, False]


MISSING_BY_OPTION = {"sd_lora": "gone", "sd_hypernetwork": "nope"}


def test_what_an_option_names_and_is_not_there_is_told(networks):
    """A1111 says nothing (spec prompts.md 6.1, 6.2); a later file of that name is found."""
    plan = networks.planned(job("a", hires="b"), Options(MISSING_BY_OPTION))
    assert plan.prompts.positive == ("a",)
    assert comments_of(plan.first, Rendered([])) == [
        "Lora of option sd_lora not found: gone",
        "Hypernetwork of option sd_hypernetwork not found: nope",
    ]


def test_what_an_option_names_is_looked_for_again(files, networks):
    networks.planned(job("a"), Options())
    files["Lora/gone.pt"] = b""
    plan = networks.planned(job("a"), Options({"sd_lora": "gone"}))
    assert plan.prompts.positive == ("a<lora:gone:1.0>",)


@pytest.mark.parametrize("option", MISSING_BY_OPTION)
def test_what_an_option_names_and_is_not_there_is_an_error_if_strict(files, option):
    strict = ExtraNetworks(MemoryNetworks(files), strict=True)
    with pytest.raises(InvalidRequest, match=f"{option}: .* not found"):
        strict.planned(job("a"), Options({option: MISSING_BY_OPTION[option]}))
    assert strict.planned(job("a"), Options(MISSING_BY_OPTION), disabled=True)


def test_the_log_is_told_what_is_missing_if_wanted(networks, caplog):
    """Option lora_not_found_warning_console."""
    networks.planned(job("<lora:x:1>"), Options())
    assert caplog.messages == []
    networks.planned(job("<lora:x:1>"), Options({"lora_not_found_warning_console": True}))
    assert caplog.messages == ["Lora not found: x"]


def test_the_log_is_told_which_embeddings_there_are_if_wanted(networks, files, caplog):
    """Option textual_inversion_print_at_load: once for each set of them."""
    wanted = Options({"textual_inversion_print_at_load": True})
    networks.planned(job("a"), wanted)
    networks.planned(job("a"), wanted)
    assert caplog.messages == ["1 embeddings: ti"]


def test_what_is_missing_is_told(networks):
    """Spec prompts.md 6.1: the comment; A1111 says nothing of a hypernetwork."""
    plan = networks.planned(job("<lora:x:1> <lora:y> <lora:x:1> <hypernet:z> <foo:1>"), Options())
    assert comments_of(plan.first, Rendered([], comments=["more"])) == [
        "Lora not found: x, y",
        "Hypernetwork not found: z",
        "Unknown kind of network: foo",
        "more",
    ]


@pytest.mark.parametrize("tag", ["<lora:x:1>", "<hypernet:x>"])
def test_what_is_missing_is_an_error_if_strict(files, tag):
    strict = ExtraNetworks(MemoryNetworks(files), strict=True)
    with pytest.raises(InvalidRequest, match=r"prompt: .* not found: x"):
        strict.planned(job(tag), Options())
    with pytest.raises(InvalidRequest, match=r"hr_prompt: .* not found: x"):
        strict.planned(job("a", hires=tag), Options())


def test_a_malformed_tag_is_an_error(networks):
    with pytest.raises(InvalidRequest, match="not a number"):
        networks.planned(job("<lora:cat:abc>"), Options())


def test_hashes_in_infotext(networks):
    """Spec prompts.md 6.1 and 7.4; both passes' LoRAs in one list."""
    plan = networks.planned(job("<lora:cat:1><lora:cat:1>", hires="<lora:dog>"), Options())
    plan = networks.identified(plan)
    used = (UsedEmbedding("ti"), UsedEmbedding("in,side", "cat"), UsedEmbedding("ti"))
    facts = networks.facts(plan.first, Rendered([], embeddings=used), Options())
    digest = "b5e2f4f4f8a1"
    assert facts["Lora hashes"] == "cat: ca7ca7ca7ca7, dog: d09d09d09d09"
    names = [entry.partition(": ") for entry in str(facts["TI hashes"]).split(", ")]
    assert [(name, len(text)) for name, _, text in names] == [
        ("ti", len(digest)),
        ("inside", 3),
        ("ti", len(digest)),
    ]


def test_hashes_can_be_left_out(files, networks):
    plan = networks.planned(job("<lora:cat:1>"), Options())
    used = Rendered([], embeddings=[UsedEmbedding("ti"), UsedEmbedding("b", "cat")])
    silent = Options(
        {
            "lora_add_hashes_to_infotext": False,
            "textual_inversion_add_hashes_to_infotext": False,
        }
    )
    assert networks.facts(plan.first, used, silent) == {}
    unbundled = Options({"lora_bundled_ti_to_infotext": False})
    assert "b" not in str(networks.facts(plan.first, used, unbundled)["TI hashes"]).split(":")
    unhashed = ExtraNetworks(MemoryNetworks(files), hashing=False)
    plan = unhashed.identified(unhashed.planned(job("<lora:cat:1>"), Options()))
    assert unhashed.facts(plan.first, replace_embeddings(used), Options()) == {}


def replace_embeddings(rendered):
    return Rendered(rendered.pictures, embeddings=rendered.embeddings[:1])


def test_a_hash_leads_to_the_preferred_name(files):
    """Spec networks.md 2.1, prompts.md 8.5."""
    files["Lora/bird.safetensors"] = safetensors(
        ss_output_name="My bird", sshs_model_hash="b12" * 21
    )
    networks = ExtraNetworks(MemoryNetworks(files))
    assert networks.lora_named("b12b12b12b12", Options()) == "My bird"
    by_file = Options({"lora_preferred_name": "Filename"})
    assert networks.lora_named("b12b12b12b12", by_file) == "bird"
    assert networks.lora_named("d09d09d09d09", Options()) == "dog"
    assert networks.lora_named("000000000000", Options()) is None
