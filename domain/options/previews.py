"""Options: live previews (spec api.md 17)."""

from hexfusion.domain.options.option import Option, Section

LIVE_PREVIEWS = Section(
    "ui",
    "Live previews",
    (
        Option("show_progressbar", True, interface_only=True),
        Option("live_previews_enable", True, "produce previews at all"),
        Option(
            "live_previews_image_format",
            "png",
            "format of /internal/progress previews",
            choices=("jpeg", "png", "webp"),
            any_case=True,
            synonyms=(("jpg", "jpeg"),),
        ),
        Option("show_progress_grid", True, "preview whole batch as grid, else first image"),
        Option(
            "show_progress_every_n_steps",
            10,
            "steps between previews; -1 for one at the end of each batch",
            span=(-1, 32),
            bounds=(-1, 1000),
            low_is_lowest=True,
        ),
        Option(
            "show_progress_type",
            "Approx NN",
            "decoder for previews",
            choices=("Full", "Approx NN", "Approx cheap", "TAESD"),
            otherwise="Full",
        ),
        Option(
            "live_preview_allow_lowvram_full", False, "permit Full under lowvram (else Approx NN)"
        ),
        Option(
            "live_preview_content",
            "Prompt",
            "which prediction is shown",
            choices=("Combined", "Prompt", "Negative prompt"),
            otherwise="Combined",
        ),
        Option("live_preview_refresh_period", 1000, interface_only=True),
        Option(
            "live_preview_fast_interrupt",
            False,
            "after interrupt decode the final image with the preview decoder",
        ),
        Option("js_live_preview_in_modal_lightbox", False, interface_only=True),
        Option("prevent_screen_sleep_during_generation", True, interface_only=True),
    ),
)
