"""Spec api.md 16, row /internal/sysinfo."""

import hashlib
import json

from hexfusion.adapters.storage.settings.options_memory import MemoryOptions
from hexfusion.application.system.sysinfo import ReadSysinfo


def report():
    options = MemoryOptions()
    options.update({"jpeg_quality": 90})
    return ReadSysinfo(
        lambda: {"Platform": "a machine", "Packages": ["a==1"]},
        options,
        lambda: 1_700_000_000.0,
        version="v1.10.1",
        data_path="/data",
        command_line=["--api-auth", "<hidden>"],
    )()


def test_members_in_order():
    shown = json.loads(report().text)
    assert list(shown) == [
        "Platform", "Python", "Version", "Commit", "Git status", "Script path", "Data path",
        "Extensions dir", "Checksum", "Commandline", "Torch env info", "Exceptions", "CPU", "RAM",
        "Extensions", "Inactive extensions", "Environment", "Config", "Startup", "Packages",
    ]  # fmt: skip
    assert shown["Config"] == {"jpeg_quality": 90}
    assert shown["Commandline"] == ["--api-auth", "<hidden>"]


def test_the_checksum_is_that_of_the_text_without_it():
    text = report().text
    checksum = json.loads(text)["Checksum"]
    without = text.replace(checksum, "0" * 64)
    assert hashlib.sha256(without.encode()).hexdigest() == checksum


def test_the_file_is_named_by_the_minute():
    assert report().file == "sysinfo-2023-11-14-22-13.json"
