"""Whether what an option names is there, where every later job would be refused without it."""

from collections.abc import Callable

from hexfusion.application.pictures.captions import OpenFont
from hexfusion.application.ports.faces import FaceRestorer
from hexfusion.application.ports.upscale import Upscaler
from hexfusion.domain.errors import InvalidRequest, ModelUnavailable, NotFound, OptionError
from hexfusion.domain.options import Options
from hexfusion.domain.upscalers import upscale_settings


class NamedThings:
    """Checks the options whose choices are files: the upscaler of img2img, the face restorer, the
    font of captions. Checkpoints and VAEs are loaded when they are chosen, and so checked."""

    def __init__(self, upscaler: Upscaler, faces: FaceRestorer, open_font: OpenFont) -> None:
        self._upscaler = upscaler
        self._faces = faces
        self._open_font = open_font

    def check(self, options: Options, present: Options) -> None:
        """Raises OptionError naming an option that differs from `present` and names what is not
        there or cannot be read, or turns on what lacks its files."""
        for key, check in self._checks(options).items():
            if options[key] and options[key] != present[key]:
                try:
                    check()
                except (InvalidRequest, ModelUnavailable, NotFound) as error:
                    raise OptionError(key, str(error)[:300]) from error

    def _checks(self, options: Options) -> dict[str, Callable[[], object]]:
        upscaler, font = options.text("upscaler_for_img2img"), options.text("font")
        model = options.text("face_restoration_model")
        wanted = options.flag("face_restoration")
        return {
            "upscaler_for_img2img": lambda: self._upscaler.check(
                upscaler, upscale_settings(options)
            ),
            "face_restoration": lambda: self._faces.check(model),
            "face_restoration_model": lambda: self._check_model(model, wanted),
            "font": lambda: self._open_font(font, 1),
        }

    def _check_model(self, model: str, wanted: bool) -> None:
        """One whose files are missing may be chosen as long as no job asks for it by itself."""
        try:
            self._faces.check(model)
        except ModelUnavailable:
            if wanted:
                raise
