"""A flag that claims to work is read by the wiring, and a flag the wiring reads claims to."""

import ast
from pathlib import Path

from hexfusion.domain.flags import FLAGS, FlagEffect
from tests.architecture.source import imports, python_files, tree

#: Methods of Flags that stand for several flags at once.
STAND_FOR = {
    "host": {"listen", "server_name"},
    "job_limits": {
        "job_pictures",
        "job_pixels",
        "batch_pixels",
        "picture_pixels",
        "job_steps",
        "job_seconds",
        "job_reply",
        "job_text",
        "prompt_size",
        "argument_size",
    },
    "write_policy": {
        "freeze_settings",
        "freeze_settings_in_sections",
        "freeze_specific_settings",
        "hide_ui_dir_config",
    },
}


def wiring() -> list[Path]:
    """The files that are given the flags: bootstrap.py and what parts make of them."""
    shipped = python_files("bootstrap.py", "application", "adapters")
    return [
        path
        for path in shipped
        if "hexfusion.domain.flags.Flags" in dict(imports(tree(path))).values()
    ]


def read_by_wiring() -> set[str]:
    """Flags that the wiring names, as a text or as an attribute."""
    found: set[str] = set()
    for node in (node for path in wiring() for node in ast.walk(tree(path))):
        if isinstance(node, ast.Attribute):
            found |= STAND_FOR.get(node.attr, {node.attr})
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & set(FLAGS)


def test_flags_do_what_they_say():
    claimed = {flag.dest for flag in FLAGS.values() if flag.effect is FlagEffect.WORKS}
    assert read_by_wiring() == claimed
