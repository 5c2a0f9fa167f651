"""Extra networks in infotext: hashes, and tags restored into the prompt.

Source: spec prompts.md 8.5 (import hooks), 6.1, 7.4.
"""

import re
from collections.abc import Callable, Iterable, Mapping

_LORA = re.compile(r"<lora:([^:>]+):")
_HASH_SUFFIX = re.compile(r" \([^()]*\)$")
_ADDED_MODEL = re.compile(r"AddNet Model (\d+)")


def add_foreign_loras(parsed: Mapping[str, object]) -> str:
    """The `Prompt`, with a line of tags for the LoRAs of the Additional Networks extension."""
    numbers = sorted(int(m[1]) for key in parsed if (m := _ADDED_MODEL.fullmatch(key)))
    tags = [
        f"<lora:{_HASH_SUFFIX.sub('', str(parsed[f'AddNet Model {n}']))}"
        f":{parsed.get(f'AddNet Weight A {n}', '1.0')}>"
        for n in numbers
        if parsed.get(f"AddNet Module {n}") == "LoRA"
    ]
    prompt = str(parsed.get("Prompt", ""))
    return f"{prompt}\n{''.join(tags)}" if tags else prompt


def rename_loras(parsed: Mapping[str, object], name_for: Callable[[str], str | None]) -> str:
    """The `Prompt`, with LoRA tags renamed to local names by means of `Lora hashes`.

    `name_for` returns the local name of the LoRA with a 12-digit hash, None if there is none.
    """
    hashes = read_hashes(str(parsed.get("Lora hashes", "")))

    def rename(match: re.Match[str]) -> str:
        name = name_for(hashes[match[1]]) if match[1] in hashes else None
        return f"<lora:{name}:" if name else match[0]

    return _LORA.sub(rename, str(parsed.get("Prompt", "")))


def read_hashes(text: str) -> dict[str, str]:
    """Parse `Lora hashes` or `TI hashes` (`a: 0123, b: 4567`) into hashes by name."""
    pairs = (entry.partition(":") for entry in text.split(","))
    return {name.strip(): digest.strip() for name, colon, digest in pairs if colon}


def format_hashes(networks: Iterable[tuple[str, str | None]]) -> str | None:
    """Format (name, hash) pairs as `Lora hashes` and `TI hashes` have them; None if none is left.

    `,` and `:` are removed from names; networks without a hash are left out (spec prompts.md 6.1,
    7.4).
    """
    entries = [f"{re.sub('[,:]', '', name)}: {digest}" for name, digest in networks if digest]
    return ", ".join(entries) or None
