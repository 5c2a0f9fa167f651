"""Writes docs/limits.md: every flag that bounds something, its default, and what it bounds.

`python -m tools.limits_page` from the root of the project. The registry of flags tells everything;
a test holds the page to it.
"""

from collections.abc import Iterator
from pathlib import Path

from hexfusion.domain.flags import LIMITS, Flag

PAGE = Path(__file__).resolve().parents[1] / "docs/limits.md"

_HEAD = """\
# Limits

What the server takes, keeps and spends is bounded, each bound by a flag. The values in force stand
in `/openapi.json`, under `info.x-limits`. Written by `python -m tools.limits_page` from the
registry of flags; do not edit.

| flag | default | of what |
|---|---|---|
"""

#: Told by hand: these bounds are in the code that keeps, most without a flag.
_CACHES = """
## What is kept in memory between requests

| kept | bound |
|---|---|
| checkpoints, and with them hypernetworks, merged LoRA weights, \
networks for previews, faces, upscaling and interrogation | \
`--model-vram` and `--model-ram`; options `sd_checkpoints_limit`, `sd_checkpoint_cache` |
| VAEs from files | option `sd_vae_checkpoint_cache` and one more |
| pictures enlarged by extras | `--picture-cache`, option `upscaling_max_images_in_cache` |
| encoded texts | 64 and 64 MiB for each text encoder of a checkpoint in memory |
| vectors of embedding files | 256 files and 64 MiB |
| code and buffers of operators, by shape | 256 of oneDNN and 256 of torch (environment: \
`ONEDNN_PRIMITIVE_CACHE_CAPACITY`, `LRU_CACHE_CAPACITY`) |
| metadata of LoRA files | 4,096 files as they are now |
| checksums of model files | one line for each file that was hashed, as in `cache.json` |
| results of finished jobs | `--job-memory`, `--job-limit`, `--job-retention` |
| the last preview of a job | one picture for each job that waits or runs |
| clients counted by `--api-rate` | the 10,000 that came last |

Freed memory is returned to the system two seconds after work, and again after thirty.
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_rows()) + _CACHES


def _rows() -> Iterator[str]:
    for flag in LIMITS:
        yield f"| `{flag.option}` | {_default(flag)} | {flag.help} |\n".replace("||", "\\|\\|")


def _default(flag: Flag) -> str:
    return "none" if flag.default is None else f"{flag.default} {flag.unit}".rstrip()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
