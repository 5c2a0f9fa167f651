"""Which packages there are: the folders at the top, installed below the name `hexfusion`.

Everything else about the distribution stands in pyproject.toml.
"""

from setuptools import find_packages, setup

ROOMS = ("domain", "application", "adapters")
PATTERNS = [pattern for room in ROOMS for pattern in (room, f"{room}.*")]

setup(
    # By this name setuptools knows to leave this very file out, though it lies in the package.
    script_name="setup.py",
    package_dir={"hexfusion": "."},
    packages=["hexfusion", *(f"hexfusion.{name}" for name in find_packages(include=PATTERNS))],
)
