"""Reading the `.yaml` next to a checkpoint, for what tensor shapes do not determine.

Original releases come with a training configuration of this layout. Only the values in
`OriginalConfig` are read from it, as plain data. Source: spec networks.md 1.4.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from hexfusion.domain.errors import CheckpointError

#: Bytes of a configuration at most; the original ones have about 3,000. Parsing YAML is slow.
_LONGEST = 20_000
#: Brackets in one at most: nested ones make parsing far slower.
_MOST_BRACKETS = 500


@dataclass(frozen=True)
class OriginalConfig:
    """Values of a configuration; None where the file or the value is absent.

    `betas` are the first and last beta of the noise schedule. `text_heads` and `text_activation`
    are read from `config.json` in the folder that `version` names, next to the checkpoint.
    """

    unet_heads: int | None = None
    unet_head_width: int | None = None
    prediction: str | None = None
    scale_factor: float | None = None
    betas: tuple[float, float] | None = None
    text_heads: int | None = None
    text_activation: str | None = None


def sibling_config(checkpoint: Path) -> Path | None:
    """`<stem>.yaml` in the checkpoint's folder, None if it does not exist."""
    path = checkpoint.with_suffix(".yaml")
    return path if path.is_file() else None


def read_original_config(checkpoint: Path) -> OriginalConfig:
    """The values of the checkpoint's sibling `.yaml`. Raises `CheckpointError` if malformed."""
    path = sibling_config(checkpoint)
    if path is None:
        return OriginalConfig()
    reader = _Reader(str(path), _load_yaml(path))
    unet = ("model", "params", "unet_config", "params")
    xl_unet = ("model", "params", "network_config", "params")
    text = ("model", "params", "cond_stage_config", "params")
    head_width = reader.integer(*unet, "num_head_channels")
    if head_width is None:
        head_width = reader.integer(*xl_unet, "num_head_channels")
    start = reader.number("model", "params", "linear_start", within=(0.0, 1.0))
    end = reader.number("model", "params", "linear_end", within=(0.0, 1.0))
    text_model = _text_model_config(path, reader.text(*text, "version"))
    return OriginalConfig(
        unet_heads=_positive(reader.integer(*unet, "num_heads")),
        unet_head_width=_positive(head_width),
        prediction=_prediction(reader),
        scale_factor=reader.number("model", "params", "scale_factor", within=(0.0, 1000.0)),
        betas=(start, end) if start is not None and end is not None else None,
        text_heads=text_model.integer("num_attention_heads"),
        text_activation=text_model.text("hidden_act"),
    )


def _prediction(reader: "_Reader") -> str | None:
    """ "v" or "epsilon"; a configuration of a model without mention of v means epsilon."""
    if not isinstance(reader.value("model", "params"), dict):
        return None
    scaling = ("denoiser_config", "params", "scaling_config", "target")
    target = reader.text("model", "params", *scaling) or ""
    if target.rpartition(".")[2] == "VScaling":
        return "v"
    return "v" if reader.text("model", "params", "parameterization") == "v" else "epsilon"


@dataclass(frozen=True)
class _Reader:
    """Typed look-ups in nested plain data, with errors that name the file and the key."""

    file: str
    root: object

    def value(self, *keys: str) -> object:
        node = self.root
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return node

    def integer(self, *keys: str) -> int | None:
        value = self.value(*keys)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong(keys, "a whole number")

    def number(self, *keys: str, within: tuple[float, float]) -> float | None:
        """A number between the two bounds `within`, exclusive; None if absent."""
        value = self.value(*keys)
        if value is None:
            return None
        low, high = within
        if isinstance(value, int | float) and not isinstance(value, bool) and low < value < high:
            return float(value)
        raise self._wrong(keys, f"a number between {low:g} and {high:g}")

    def text(self, *keys: str) -> str | None:
        value = self.value(*keys)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(keys, "a text")

    def _wrong(self, keys: tuple[str, ...], expected: str) -> CheckpointError:
        return CheckpointError(self.file, f"{'.'.join(keys)} is not {expected}")


def _load_yaml(path: Path) -> object:
    import yaml

    text = _read(path)
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise CheckpointError(str(path), "cannot be read as YAML: more brackets than anyone needs")
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        # The error's excerpt of the text is not shown, as the file may be a link to a private one.
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise CheckpointError(str(path), f"cannot be read as YAML: line {line}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        message = f"cannot be read as YAML: {type(error).__name__}"
        raise CheckpointError(str(path), message) from None


def _read(path: Path) -> str:
    """The text of a file of at most `_LONGEST` bytes. Raises `CheckpointError`."""
    try:
        size = path.stat().st_size
        if size > _LONGEST:
            raise CheckpointError(str(path), f"is longer than the {_LONGEST} bytes that are read")
        if not size:  # also of kernel files such as /dev/zero, some of which never end
            return ""
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("utf-8")
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise CheckpointError(str(path), message) from error
    except UnicodeDecodeError:
        raise CheckpointError(str(path), "cannot be read: it is no UTF-8 text") from None


def _text_model_config(config: Path, version: str | None) -> _Reader:
    """The `config.json` in the folder `version` next to the checkpoint; empty if there is none."""
    empty = _Reader(str(config), {})
    # A plain name only. A link is followed: the operator put it there.
    if not version or version in (".", "..") or Path(version).name != version:
        return empty
    path = config.parent / version / "config.json"
    if not path.is_file():
        return empty
    try:
        return _Reader(str(path), json.loads(_read(path)))
    except (ValueError, RecursionError) as error:
        message = f"cannot be read as JSON: {type(error).__name__}"
        raise CheckpointError(str(path), message) from None


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None  # the configs write -1 for "unset"
