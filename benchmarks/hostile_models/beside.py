"""What lies beside a checkpoint: its `.yaml`, and its user's notes in `.json`."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.hostile_models.case import Case, Ground
from benchmarks.hostile_models.kinds import KINDS

Text = Callable[[Ground], bytes]


def cases() -> Iterator[Case]:
    """Each beside a sound checkpoint, which counts as the file; what is harmless may be used."""
    for label, text in _YAML.items():
        yield _case(label, ".yaml", text, works=label in _HARMLESS)
    for label, text in _NOTES.items():
        yield _case(label, ".json", text, works=True)  # notes that make no sense are passed over
    yield _linked("a link to a secret", ".yaml", "secret.txt")
    yield _linked("a link to a device", ".yaml", "/dev/zero", works=True)


def _case(label: str, suffix: str, text: Text, works: bool = False) -> Case:
    file = f"beside-{label}".replace(" ", "-").replace(",", "") + ".safetensors"

    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(KINDS["checkpoint"].sound(".safetensors"))
        path.with_suffix(suffix).write_bytes(text(ground))

    return Case("checkpoint", f"{suffix} beside it", label, file, place, works=works)


def _linked(label: str, suffix: str, target: str, works: bool = False) -> Case:
    def place(path: Path, ground: Ground) -> None:
        path.write_bytes(KINDS["checkpoint"].sound(".safetensors"))
        path.with_suffix(suffix).symlink_to(ground.outside / target)

    file = f"beside-{label}.safetensors".replace(" ", "-")
    return Case("checkpoint", f"{suffix} beside it", label, file, place, works=works)


def _plain(text: str | bytes) -> Text:
    return lambda ground: text if isinstance(text, bytes) else text.encode()


def _unet(**parameters: object) -> Text:
    """A configuration of that UNet; JSON is YAML."""
    about = {"model": {"params": {"unet_config": {"params": parameters}}}}
    return _plain(json.dumps(about))


def _laughs(levels: int) -> str:
    """Aliases of aliases, nine to a level."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def _tag(tag: str) -> Text:
    return lambda ground: f"model: !!python/{tag} ['{ground.proof / 'yaml'}']".encode()


_HARMLESS = frozenset(
    {
        "empty",
        "a list",
        "a path for its version",
        "aliases that explode",
        "an alias to itself",
        "merged",
        "no heads",  # -1 and 0 stand for none given
    }
)
_YAML: Mapping[str, Text] = {
    "empty": _plain(""),
    "a list": _plain("[1, 2, 3]"),
    "no YAML": _plain("a: b: c: [}"),
    "binary": _plain(bytes(range(256)) * 10),
    "a call of os.mkdir": _tag("object/apply:os.mkdir"),
    "an object": _tag("object/new:os.mkdir"),
    "a name": _tag("name:os.mkdir"),
    "aliases that explode": _plain(_laughs(12)),
    "merged": _plain("a: &a {b: 1}\nc:\n  <<: [*a, *a]"),
    "keys that explode": _plain(_laughs(12) + "\n? *a11\n: 1"),
    "nested 10,000 deep": _plain("[" * 10_000 + "]" * 10_000),
    "20 MB of letters": _plain("a: " + "x" * 20_000_000),
    "2 MB of lists": _plain("[" + "[]," * 700_000 + "]"),
    "an alias to itself": _plain("model: &m {params: *m}"),
    "no heads": _unet(num_heads=0),
    "a billion heads": _unet(num_heads=10**9),
    "7 heads": _unet(num_heads=7),
    "heads of 10^400": _unet(num_heads=10**400),
    "heads as text": _unet(num_heads="4"),
    "half a head": _unet(num_heads=0.5),
    "head width of nothing": _unet(num_head_channels=2**70),
    "a scale of nothing": _plain("model: {params: {scale_factor: 0}}"),
    "a scale that is no number": _plain("model: {params: {scale_factor: .nan}}"),
    "an infinite scale": _plain("model: {params: {scale_factor: .inf}}"),
    "betas that are no numbers": _plain("model: {params: {linear_start: .nan, linear_end: .inf}}"),
    "negative betas": _plain("model: {params: {linear_start: -5, linear_end: -1}}"),
    "a scale of 10^400": _plain("model: {params: {scale_factor: 1" + "0" * 400 + "}}"),
    "a path for its version": _plain(
        "model: {params: {cond_stage_config: {params: {version: ../../../../etc}}}}"
    ),
}
_NOTES: Mapping[str, Text] = {
    "a path for its VAE": _plain('{"vae": "../../../secret.safetensors"}'),
    "a list for its VAE": _plain('{"vae": [1, 2]}'),
    "nested 100,000 deep": _plain("[" * 100_000),
    "not UTF-8": _plain(b'{"vae": "\xff\xfe"}'),
    "a number of 10,000 digits": _plain('{"vae": ' + "9" * 10_000 + "}"),
}
