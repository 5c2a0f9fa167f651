"""Saves one picture: its folder, its file name, and the text file or copy next to it.

Source: spec prompts.md 9.2.
"""

import functools
import hashlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from PIL.Image import Image, Resampling

from hexfusion.application.pictures.picture_files import encode_picture, fits
from hexfusion.application.ports.images import ImageArchive
from hexfusion.domain.errors import InvalidRequest
from hexfusion.domain.filenames import (
    NameFacts,
    NameRules,
    decoration,
    file_name,
    next_number,
    numbered,
    sub_folder,
)
from hexfusion.domain.options import Options


@dataclass(frozen=True)
class SaveLocation:
    """Names of the options that determine where a kind of picture is saved.

    `folder`, `format` and `in_folders` (sub-folders or not) are option keys. File names start with
    `basename`; with `short_names` nothing but a number follows, unless option
    `grid_extended_filename` is set.
    """

    folder: str
    format: str
    in_folders: str
    basename: str = ""
    short_names: bool = False


class PictureFiles:
    """Saves pictures in the archive. Thread-safe: no two pictures get the same name."""

    def __init__(self, archive: ImageArchive, rules: NameRules) -> None:
        self._archive = archive
        self._rules = rules
        self._naming = threading.Lock()

    def check(self, place: SaveLocation, facts: NameFacts, options: Options) -> None:
        """Check whether a picture could be saved there.

        Raises `InvalidRequest` naming an invalid option, `ArchiveError` naming a folder that is not
        writable.
        """
        self._words(place, facts, options)
        folder = self._folder(place, facts, options)
        try:
            self._archive.probe(folder)
        except InvalidRequest as error:
            message = "is below neither the data folder nor one that the settings named at start"
            raise InvalidRequest(place.folder, f"{folder!r} {message}") from error

    def save(
        self,
        image: Image,
        infotext: str | None,
        place: SaveLocation,
        facts: NameFacts,
        options: Options,
        suffix: str = "",
    ) -> str:
        """Save the picture, and its text file and copy if options say so.

        `facts` must have the picture's size. `suffix` is appended to the name. Returns the path in
        the archive. Raises as `check` does.
        """
        facts = msgspec.structs.replace(facts, pixel_hash=functools.cache(lambda: _hash(image)))
        extension = options.text(place.format)
        if not fits(image, extension):
            extension = "png"
        data = _encoded(image, extension, infotext, options)
        folder = self._folder(place, facts, options)
        words = self._words(place, facts, options, suffix)
        path = self._write(data, folder, words, extension, place, options)
        stem = path.removesuffix(f".{extension}")
        if infotext is not None and options.flag("save_txt"):
            self._archive.write(f"{stem}.txt", f"{infotext}\n".encode(errors="replace"))
        if extension not in ("jpg", "jpeg") and _wants_copy(image, data, options):
            copy = _encoded(_shrunk(image, options), "jpg", infotext, options)
            self._archive.write(f"{stem}.jpg", copy)
        return path

    def _folder(self, place: SaveLocation, facts: NameFacts, options: Options) -> str:
        below = ""
        if options.flag(place.in_folders):
            pattern = options.text("directories_filename_pattern")
            below = sub_folder(pattern, facts, self._rules)
        return "/".join(filter(None, (options.text(place.folder), below)))

    def _words(
        self, place: SaveLocation, facts: NameFacts, options: Options, suffix: str = ""
    ) -> str:
        if place.short_names and not options.flag("grid_extended_filename"):
            return ""
        return decoration(
            options.text("samples_filename_pattern"),
            facts,
            self._rules,
            in_folders=options.flag("save_to_dirs"),
            suffix=suffix,
        )

    def _write(
        self,
        data: bytes,
        folder: str,
        words: str,
        extension: str,
        place: SaveLocation,
        options: Options,
    ) -> str:
        with self._naming:  # from reading the numbers to writing the next
            entries = set(self._archive.names(folder))
            if words and not options.flag("save_images_add_number"):
                replace = options.text("save_images_replace_action") == "Replace"
                names = _tailed(words, extension)
            else:
                replace = False
                first = next_number(entries, place.basename)
                names = (
                    file_name(numbered(number, words, place.basename), extension)
                    for number in itertools.count(first)
                )
            for name in names:
                if name in entries and not replace:
                    continue
                path = f"{folder}/{name}" if folder else name
                try:
                    self._archive.write(path, data, replace=replace)
                except FileExistsError:  # another process was faster
                    continue
                return path
        raise AssertionError("names never end")


def _tailed(words: str, extension: str) -> Iterator[str]:
    yield file_name(words, extension)
    for number in itertools.count(1):
        yield file_name(words, extension, f"-{number}")


def _encoded(image: Image, extension: str, infotext: str | None, options: Options) -> bytes:
    return encode_picture(
        image,
        extension,
        infotext,
        quality=options.integer("jpeg_quality"),
        embed=options.flag("enable_pnginfo"),
        lossless=options.flag("webp_lossless"),
    )


def _wants_copy(image: Image, data: bytes, options: Options) -> bool:
    """Whether options ask for a smaller JPEG copy of a picture as large as this one."""
    heavy = len(data) > options.number("img_downscale_threshold") * 2**20
    large = max(image.size) > options.integer("target_side_length")
    return options.flag("export_for_4chan") and (heavy or large)


def _shrunk(image: Image, options: Options) -> Image:
    """The picture reduced so that its longer side is at most option target_side_length."""
    limit = options.integer("target_side_length")
    longer = max(image.size)
    if longer <= limit:
        return image
    width, height = (max(round(side * limit / longer), 1) for side in image.size)
    return image.resize((width, height), Resampling.LANCZOS)


def _hash(image: Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()
