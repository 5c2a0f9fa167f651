"""Options: writing and reading infotext (spec api.md 17)."""

from hexfusion.domain.options.explanations import INFOTEXT_HELP
from hexfusion.domain.options.option import Option, Section

INFOTEXT = Section(
    "infotext",
    "Infotext",
    (
        Option("infotext_explanation", INFOTEXT_HELP, explanation=True),
        Option("enable_pnginfo", True, "embed infotext in files and in response images"),
        Option("save_txt", False, "write infotext next to the image as .txt"),
        Option("add_model_name_to_info", True, "write the checkpoint name into infotext"),
        Option("add_model_hash_to_info", True, "write the checkpoint hash into infotext"),
        Option("add_vae_name_to_info", True, "write the VAE name into infotext"),
        Option("add_vae_hash_to_info", True, "write the VAE hash into infotext"),
        Option("add_user_name_to_info", False, "write the authenticated user into infotext"),
        Option("add_version_to_infotext", True, "write the program version into infotext"),
        Option(
            "disable_weights_auto_swap", True, 'ignore "Model hash" of the request field infotext'
        ),
        Option("infotext_skip_pasting", (), "infotext keys dropped after parsing"),
        Option(
            "infotext_styles",
            "Apply if any",
            "what happens to styles found in a prompt when infotext is parsed",
            choices=("Ignore", "Apply", "Discard", "Apply if any"),
        ),
    ),
)
