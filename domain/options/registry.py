"""Every option, in the order in which A1111 registers them (spec api.md 13.1, 17)."""

from collections.abc import Mapping
from types import MappingProxyType

from hexfusion.domain.options import (
    extensions,
    infotext,
    interface,
    models,
    pictures,
    previews,
    sampling,
    saving,
    server,
    training,
)
from hexfusion.domain.options import extra_networks as networks
from hexfusion.domain.options.foreign import foreign_option
from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import EXTENSIONS

SECTIONS: tuple[Section, ...] = (
    saving.SAVING_IMAGES,
    saving.SAVING_PATHS,
    saving.SAVING_TO_DIRS,
    pictures.UPSCALING,
    pictures.FACE_RESTORATION,
    server.SYSTEM,
    server.PROFILER,
    server.API,
    training.TRAINING,
    models.SD,
    models.SDXL,
    models.SD3,
    models.VAE,
    pictures.IMG2IMG,
    sampling.OPTIMIZATIONS,
    sampling.COMPATIBILITY,
    pictures.INTERROGATE,
    networks.EXTRA_NETWORKS,
    interface.UI_PROMPT_EDITING,
    interface.UI_GALLERY,
    interface.UI_ALTERNATIVES,
    interface.USER_INTERFACE,
    infotext.INFOTEXT,
    previews.LIVE_PREVIEWS,
    sampling.SAMPLER_PARAMS,
    pictures.POSTPROCESSING,
    server.UNSECTIONED,
    networks.LORA,
    networks.LORA_COMPATIBILITY,
    interface.CANVAS_HOTKEY,
    interface.SETTINGS_IN_UI,
    models.PROMPT_COMMENTS,
    extensions.EXTRA_UPSCALERS,
    extensions.HYPERTILE,
)

REGISTRY: Mapping[str, Option] = MappingProxyType(
    {option.key: option for section in SECTIONS for option in section.options}
)

PAIRED = tuple(option for option in REGISTRY.values() if option.at_most)
"""The options whose values depend on another's."""

_ALIASES = {alias: option for option in REGISTRY.values() for alias in option.aliases}

_SECTION_OF = {option.key: section for section in SECTIONS for option in section.options}

#: Extensions order their callbacks under keys that are known only at run time.
CALLBACK_ORDER = "prioritized_callbacks_"
_CALLBACKS = Section("callbacks", "Callbacks", ())


def find_option(key: str) -> Option | None:
    """The option called `key`, or None; what is stored under it has its own key.

    `prioritized_callbacks_*` options can be set without being registered, and are not listed; so
    can Forge's modules, and those of other servers, under which nothing is stored.
    """
    if key.startswith(CALLBACK_ORDER):
        return Option(
            key, (), "order in which callbacks run", web_ui_only=True, no_effect=EXTENSIONS
        )
    if key == models.FORGE_MODULES.key:
        return models.FORGE_MODULES
    return REGISTRY.get(key) or _ALIASES.get(key) or foreign_option(key)


def section_of(key: str) -> Section:
    """The section of a known option, by its own key, as `--freeze-settings-in-sections` sees it."""
    return _SECTION_OF.get(key, _CALLBACKS)
