"""The tokens of file name patterns, such as `[seed]`. Source: spec prompts.md 9.3.

A token is a function `(facts, rules, *arguments)`; the arguments are the texts in `<...>` after its
name. It returns its text, or `SKIP` to be removed together with the text before it, or None to stay
as written. A ValueError counts as None.
"""

import re
import string
from collections.abc import Callable
from enum import Enum
from hashlib import sha256

from hexfusion.domain.filenames.name_facts import NameFacts
from hexfusion.domain.filenames.sanitising import NameRules, sanitise


class Skip(Enum):
    """Type of `SKIP`: the token and the text before it are removed."""

    SKIP = "skip"


SKIP = Skip.SKIP

Token = Callable[..., str | Skip | None]

_DATETIME = "%Y%m%d%H%M%S"
_BETWEEN_WORDS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")


def _text(of: Callable[[NameFacts], str], *, underscores: bool = False) -> Token:
    """A token that shows a text, sanitised."""
    return lambda facts, rules, *_: sanitise(of(facts), rules, underscores=underscores)


def _plain(of: Callable[[NameFacts], object]) -> Token:
    """A token that shows a number, or a text that needs no sanitising."""

    def token(facts: NameFacts, rules: NameRules, *_: str) -> str | None:
        value = of(facts)
        return None if value is None else str(value)

    return token


def _hash(of: Callable[[NameFacts], str]) -> Token:
    """A token that shows the first digits of a text's sha256: its argument's number, or 8."""

    def token(facts: NameFacts, rules: NameRules, length: str = "", *_: str) -> str:
        return sha256(of(facts).encode(errors="replace")).hexdigest()[: _digits(length, 8)]

    return token


def _digits(length: str, default: int) -> int:
    digits = int(length) if length else default
    if digits < 0:
        raise ValueError(f"{digits} digits")
    return digits


def _seed(facts: NameFacts, rules: NameRules, *_: str) -> str:
    return "" if facts.seed is None else str(facts.seed)


def _seed_first(facts: NameFacts, rules: NameRules, *_: str) -> str:
    if facts.batch_size == 1 or not facts.all_seeds:
        return _seed(facts, rules)
    return str(facts.all_seeds[0])


def _seed_last(facts: NameFacts, rules: NameRules, *_: str) -> str | Skip:
    return SKIP if facts.batch_size == 1 or not facts.all_seeds else str(facts.all_seeds[-1])


def _styles(facts: NameFacts) -> str:
    return ", ".join(name for name in facts.styles if name != "None") or "None"


def _sampler_scheduler(facts: NameFacts) -> str:
    return f"{facts.sampler} {facts.scheduler.capitalize()}"


def _datetime(facts: NameFacts, rules: NameRules, format: str = "", zone: str = "", *_: str) -> str:
    try:
        text = facts.format_time(format or _DATETIME, zone or None)
    except ValueError:
        text = facts.format_time(_DATETIME, zone or None)
    return sanitise(text, rules)


def _prompt_no_styles(facts: NameFacts) -> str:
    prompt = facts.prompt
    for style in facts.style_texts:
        for part in style.split("{prompt}"):
            prompt = prompt.replace(part, "") if part else prompt
            prompt = prompt.replace(", ,", ",").strip(" ,")
    return prompt


def _prompt_words(facts: NameFacts) -> str:
    words = [word for word in _BETWEEN_WORDS.split(facts.prompt) if word]
    return " ".join(words[: max(facts.max_prompt_words, 0)] if words else ["empty"])


def _batch_number(facts: NameFacts, rules: NameRules, *_: str) -> str | Skip:
    if facts.batch_size == 1 or facts.batch_index is None:
        return SKIP
    return str(facts.batch_index + 1)


def _generation_number(facts: NameFacts, rules: NameRules, *_: str) -> str | Skip:
    if facts.batch_size * facts.n_iter == 1 or facts.batch_index is None:
        return SKIP
    return str(facts.iteration * facts.batch_size + facts.batch_index + 1)


def _hasprompt(facts: NameFacts, rules: NameRules, *groups: str) -> str:
    prompt = facts.prompt.lower()
    found = ""
    for group in groups:
        word, default = [*group.split("|"), ""][:2]
        found += word.lower() if word.lower() in prompt else default
    return sanitise(found, rules)


def _denoising(facts: NameFacts, rules: NameRules, *_: str) -> str | Skip:
    return str(facts.denoising_strength) if facts.denoising_strength else SKIP


def _user(facts: NameFacts, rules: NameRules, *_: str) -> str | None:
    return None if facts.user is None else sanitise(facts.user, rules)


def _image_hash(facts: NameFacts, rules: NameRules, length: str = "", *_: str) -> str:
    return facts.pixel_hash()[: _digits(length, 64)]


def _full_prompt(facts: NameFacts) -> str:
    return f"{facts.job_prompt} {facts.job_negative_prompt}"


TOKENS: dict[str, Token] = {
    "basename": _text(lambda facts: facts.basename or "img"),
    "seed": _seed,
    "seed_first": _seed_first,
    "seed_last": _seed_last,
    "steps": _plain(lambda facts: facts.steps),
    "cfg": _plain(lambda facts: float(facts.cfg_scale)),
    "width": _plain(lambda facts: facts.width),
    "height": _plain(lambda facts: facts.height),
    "styles": _text(_styles),
    "sampler": _text(lambda facts: facts.sampler),
    "sampler_scheduler": _text(_sampler_scheduler),
    "scheduler": _text(lambda facts: facts.scheduler.capitalize()),
    "model_hash": _plain(lambda facts: facts.model_hash),
    "model_name": _text(lambda facts: facts.model_name),
    "date": lambda facts, rules, *_: facts.format_time("%Y-%m-%d", None),
    "datetime": _datetime,
    "job_timestamp": _plain(lambda facts: facts.job_timestamp),
    "prompt_hash": _hash(lambda facts: facts.prompt),
    "negative_prompt_hash": _hash(lambda facts: facts.job_negative_prompt),
    "full_prompt_hash": _hash(_full_prompt),
    "prompt": _text(lambda facts: facts.prompt, underscores=True),
    "prompt_spaces": _text(lambda facts: facts.prompt),
    "prompt_no_styles": _text(_prompt_no_styles),
    "prompt_words": _text(_prompt_words),
    "batch_number": _batch_number,
    "batch_size": _plain(lambda facts: facts.batch_size),
    "generation_number": _generation_number,
    "hasprompt": _hasprompt,
    "clip_skip": _plain(lambda facts: facts.clip_skip),
    "denoising": _denoising,
    "user": _user,
    "vae_filename": _text(lambda facts: (facts.vae or "NoneType").partition(".")[0]),
    "image_hash": _image_hash,
    "none": lambda facts, rules, *_: "",
}
