"""Facts to name files by, for these tests."""

from typing import Any

from hexfusion.domain.filenames import NameFacts


def format_time(format: str, zone: str | None) -> str:
    """Shows what it was asked; a bad format is one with an exclamation mark."""
    if "!" in format:
        raise ValueError(format)
    if format == "%Y-%m-%d":
        return "2026-11-22"
    return f"{format} in {zone or 'local time'}"


def facts(**changed: Any) -> NameFacts:
    return NameFacts(
        **{
            "seed": 5,
            "prompt": "a cat",
            "job_prompt": "a cat",
            "job_negative_prompt": "bad",
            "steps": 20,
            "cfg_scale": 7.0,
            "width": 640,
            "height": 480,
            "sampler": "Euler a",
            "scheduler": "Automatic",
            "model_hash": "abcdef0123",
            "model_name": "my model",
            "job_timestamp": "20240102030405",
            "format_time": format_time,
            "pixel_hash": lambda: "0123456789abcdef" * 4,
            **changed,
        }
    )
