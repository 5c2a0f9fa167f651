"""The always-on script that gives options as arguments. Source: spec scripts.md 14.

Options `extra_options_txt2img` and `extra_options_img2img` name the keys: each is an argument, in
their order, and becomes an override of the request's.
"""

from collections.abc import Mapping, Sequence

from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.options import Options, find_option
from hexfusion.domain.scripts.form import ScriptArgument

TITLE = "extra options"
"""What A1111 lists the script as."""


def extra_keys(options: Options, *, of_pictures: bool) -> tuple[str, ...]:
    """The options that are its arguments, of image-to-image or else of text-to-image."""
    if of_pictures:
        return options.texts("extra_options_img2img")
    return options.texts("extra_options_txt2img")


def extra_overrides(scripts: Mapping[str, object], keys: Sequence[str]) -> dict[str, object]:
    """What a request's always-on scripts say of the options `keys`.

    Those left out are not overridden; A1111 sets them to what they were when it started. Arguments
    beyond the keys are passed over, as there. Raises `InvalidRequest`.
    """
    for title, given in scripts.items():
        if title.lower() == TITLE and isinstance(given, Mapping):
            arguments = given.get("args") or ()
            if not isinstance(arguments, Sequence) or isinstance(arguments, str):
                raise InvalidRequest("alwayson_scripts", f"{TITLE}: args must be a list")
            return dict(zip(keys, arguments, strict=False))
    return {}


def extra_arguments(options: Options, *, of_pictures: bool) -> tuple[ScriptArgument, ...]:
    """How the script is listed: each option with the value it has without the argument."""
    return tuple(_argument(key, options) for key in extra_keys(options, of_pictures=of_pictures))


def _argument(key: str, options: Options) -> ScriptArgument:
    option = find_option(key)
    if option is None:
        return ScriptArgument(key, None)
    low, high = option.span or (None, None)
    return ScriptArgument(
        option.about or key, options[key], low, high, choices=option.choices or None
    )
