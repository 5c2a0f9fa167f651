"""Options: graphical interfaces, kept and echoed for their clients (spec api.md 17)."""

from hexfusion.domain.options.explanations import SETTINGS_IN_UI_HELP
from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import NOT_READ

UI_PROMPT_EDITING = Section(
    "ui_prompt_editing",
    "Prompt editing",
    (
        Option("keyedit_precision_attention", 0.1, span=(0.01, 0.2), interface_only=True),
        Option("keyedit_precision_extra", 0.05, span=(0.01, 0.2), interface_only=True),
        Option("keyedit_delimiters", ".,\\/!?%^*;:{}=`~() ", interface_only=True),
        Option(
            "keyedit_delimiters_whitespace",
            ("Tab", "Carriage Return", "Line Feed"),
            choices=("Tab", "Carriage Return", "Line Feed"),
            interface_only=True,
        ),
        Option("keyedit_move", True, interface_only=True),
        Option("disable_token_counters", False, interface_only=True),
        Option("include_styles_into_token_counters", True, interface_only=True),
    ),
)

UI_GALLERY = Section(
    "ui_gallery",
    "Gallery",
    (
        Option("return_grid", True, "put the grid first among the results"),
        Option("do_not_show_images", False, interface_only=True),
        Option("js_modal_lightbox", True, interface_only=True),
        Option("js_modal_lightbox_initially_zoomed", True, interface_only=True),
        Option("js_modal_lightbox_gamepad", False, interface_only=True),
        Option("js_modal_lightbox_gamepad_repeat", 250, interface_only=True),
        Option(
            "sd_webui_modal_lightbox_icon_opacity",
            1,
            numeric="float",
            span=(0.0, 1),
            interface_only=True,
        ),
        Option("sd_webui_modal_lightbox_toolbar_opacity", 0.9, span=(0.0, 1), interface_only=True),
        Option("gallery_height", "", interface_only=True),
        Option(
            "open_dir_button_choice",
            "Subdirectory",
            choices=("Output Root", "Subdirectory", "Subdirectory (even temp dir)"),
            interface_only=True,
        ),
    ),
)

UI_ALTERNATIVES = Section(
    "ui_alternatives",
    "UI alternatives",
    (
        Option("compact_prompt_box", False, interface_only=True),
        Option("samplers_in_dropdown", True, interface_only=True),
        Option("dimensions_and_batch_together", True, interface_only=True),
        Option("sd_checkpoint_dropdown_use_short", False, "without effect", no_effect=NOT_READ),
        Option("hires_fix_show_sampler", False, interface_only=True),
        Option("hires_fix_show_prompts", False, interface_only=True),
        Option("txt2img_settings_accordion", False, interface_only=True),
        Option("img2img_settings_accordion", False, interface_only=True),
        Option("interrupt_after_current", True, interface_only=True),
    ),
)

USER_INTERFACE = Section(
    "ui",
    "User interface",
    (
        Option("localization", "None", choices=("None",), interface_only=True, open_choices=True),
        Option("quicksettings_list", ("sd_model_checkpoint",), interface_only=True),
        Option("ui_tab_order", (), interface_only=True),
        Option("hidden_tabs", (), interface_only=True),
        Option("ui_reorder_list", (), interface_only=True),
        Option(
            "gradio_theme", "Default", choices=("Default",), interface_only=True, open_choices=True
        ),
        Option("gradio_themes_cache", True, interface_only=True),
        Option("show_progress_in_title", True, interface_only=True),
        Option("send_seed", True, interface_only=True),
        Option("send_size", True, interface_only=True),
        Option("enable_reloading_ui_scripts", False, interface_only=True),
    ),
)

CANVAS_HOTKEY = Section(
    "canvas_hotkey",
    "Canvas Hotkeys",
    (
        Option("canvas_hotkey_zoom", "Alt", choices=("Shift", "Ctrl", "Alt"), interface_only=True),
        Option(
            "canvas_hotkey_adjust", "Ctrl", choices=("Shift", "Ctrl", "Alt"), interface_only=True
        ),
        Option("canvas_hotkey_shrink_brush", "Q", interface_only=True),
        Option("canvas_hotkey_grow_brush", "W", interface_only=True),
        Option("canvas_hotkey_move", "F", interface_only=True),
        Option("canvas_hotkey_fullscreen", "S", interface_only=True),
        Option("canvas_hotkey_reset", "R", interface_only=True),
        Option("canvas_hotkey_overlap", "O", interface_only=True),
        Option("canvas_show_tooltip", True, interface_only=True),
        Option("canvas_auto_expand", True, interface_only=True),
        Option("canvas_blur_prompt", False, interface_only=True),
        Option(
            "canvas_disabled_functions",
            ("Overlap",),
            choices=(
                "Zoom",
                "Adjust brush size",
                "Hotkey enlarge brush",
                "Hotkey shrink brush",
                "Moving canvas",
                "Fullscreen",
                "Reset Zoom",
                "Overlap",
            ),
            interface_only=True,
        ),
    ),
)

SETTINGS_IN_UI = Section(
    "settings_in_ui",
    "Settings in UI",
    (
        Option("settings_in_ui", SETTINGS_IN_UI_HELP, explanation=True),
        Option(
            "extra_options_txt2img",
            (),
            "option keys shown as txt2img script arguments; they become overrides",
        ),
        Option(
            "extra_options_img2img",
            (),
            "option keys shown as img2img script arguments; they become overrides",
        ),
        Option("extra_options_cols", 1, span=(1, 20), interface_only=True),
        Option("extra_options_accordion", False, interface_only=True),
    ),
)
