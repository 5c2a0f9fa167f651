"""Options: embeddings, hypernetworks and LoRA (spec api.md 17)."""

from hexfusion.domain.options.option import Option, Section

EXTRA_NETWORKS = Section(
    "extra_networks",
    "Extra Networks",
    (
        Option("extra_networks_show_hidden_directories", True, interface_only=True),
        Option("extra_networks_dir_button_function", False, interface_only=True),
        Option(
            "extra_networks_hidden_models",
            "When searched",
            choices=("Always", "When searched", "Never"),
            interface_only=True,
        ),
        Option(
            "extra_networks_default_multiplier",
            1.0,
            "weight for sd_lora / sd_hypernetwork",
            span=(0.0, 2.0),
            bounds=(-100, 100),
        ),
        Option("extra_networks_card_width", 0, interface_only=True),
        Option("extra_networks_card_height", 0, interface_only=True),
        Option("extra_networks_card_text_scale", 1.0, span=(0.0, 2.0), interface_only=True),
        Option("extra_networks_card_show_desc", True, interface_only=True),
        Option("extra_networks_card_description_is_html", False, interface_only=True),
        Option(
            "extra_networks_card_order_field",
            "Path",
            choices=("Path", "Name", "Date Created", "Date Modified"),
            interface_only=True,
        ),
        Option(
            "extra_networks_card_order",
            "Ascending",
            choices=("Ascending", "Descending"),
            interface_only=True,
        ),
        Option(
            "extra_networks_tree_view_style", "Dirs", choices=("Tree", "Dirs"), interface_only=True
        ),
        Option("extra_networks_tree_view_default_enabled", True, interface_only=True),
        Option("extra_networks_tree_view_default_width", 180, interface_only=True),
        Option("extra_networks_add_text_separator", " ", interface_only=True),
        Option("ui_extra_networks_tab_reorder", "", interface_only=True),
        Option("textual_inversion_print_at_load", False, "print the embeddings found"),
        Option(
            "textual_inversion_add_hashes_to_infotext",
            True,
            "write hashes of the embeddings used into infotext",
        ),
        Option("sd_hypernetwork", "None", "hypernetwork appended to every prompt"),
    ),
)

LORA = Section(
    "extra_networks",
    "Extra Networks",
    (
        Option("sd_lora", "None", "Lora appended to every prompt"),
        Option(
            "lora_preferred_name",
            "Alias from file",
            "name used when mapping hashes back to names",
            choices=("Alias from file", "Filename"),
        ),
        Option("lora_add_hashes_to_infotext", True, "write hashes of the LoRAs used into infotext"),
        Option(
            "lora_bundled_ti_to_infotext",
            True,
            "write hashes of embeddings bundled with LoRAs into infotext",
        ),
        Option("lora_show_all", False, interface_only=True),
        Option(
            "lora_hide_unknown_for_versions",
            (),
            choices=("SD1", "SD2", "SDXL"),
            interface_only=True,
        ),
        Option("lora_in_memory_limit", 0, "Lora cache size", bounds=(0, 100), low_is_lowest=True),
        Option("lora_not_found_warning_console", False, "log what a prompt names and is missing"),
        Option("lora_not_found_gradio_warning", False, interface_only=True),
    ),
)

LORA_COMPATIBILITY = Section(
    "compatibility",
    "Compatibility",
    (
        Option(
            "lora_functional",
            False,
            "merge LoRAs at each call of the network instead of keeping merged weights: slower, "
            "and no memory",
        ),
    ),
)
