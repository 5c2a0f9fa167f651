"""Options: the server process (spec api.md 17)."""

from hexfusion.domain.options.explanations import PROFILING_HELP
from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import (
    CONSOLE,
    EXTENSIONS,
    INTERFACE_ROUTES,
    NEVER_MAPPED,
    NOT_PROFILED,
    WRITTEN_BY_SERVER,
)

SYSTEM = Section(
    "system",
    "System",
    (
        Option(
            "auto_launch_browser",
            "Local",
            choices=("Disable", "Local", "Remote"),
            interface_only=True,
        ),
        Option(
            "enable_console_prompts",
            False,
            "print prompts to the console (interface only)",
            no_effect=INTERFACE_ROUTES,
        ),
        Option("show_warnings", False, interface_only=True),
        Option("show_gradio_deprecation_warnings", True, interface_only=True),
        Option(
            "memmon_poll_rate",
            8,
            "how often the interface polls GPU memory",
            span=(0, 40),
            no_effect=INTERFACE_ROUTES,
        ),
        Option(
            "samples_log_stdout",
            False,
            "print results to the console (interface only)",
            no_effect=INTERFACE_ROUTES,
        ),
        Option(
            "multiple_tqdm",
            True,
            "show a console bar for the whole job beside that of each batch",
            no_effect=CONSOLE,
        ),
        Option(
            "enable_upscale_progressbar",
            True,
            "show a console bar while upscaling by tiles",
            no_effect=CONSOLE,
        ),
        Option("print_hypernet_extra", False, "print more about hypernetworks", no_effect=CONSOLE),
        Option("list_hidden_files", True, "include files in dot-folders when scanning models"),
        Option(
            "disable_mmap_load_safetensors",
            False,
            "read files fully instead of mmap",
            no_effect=NEVER_MAPPED,
        ),
        Option("hide_ldm_prints", True, "keep the model library from printing", no_effect=CONSOLE),
        Option("dump_stacks_on_signal", False, "print the stacks of all threads when told to stop"),
    ),
)

PROFILER = Section(
    "profiler",
    "Profiler",
    (
        Option("profiling_explanation", PROFILING_HELP, explanation=True),
        Option("profiling_enable", False, "profile each job", no_effect=NOT_PROFILED),
        Option(
            "profiling_activities",
            ("CPU",),
            "devices profiled",
            choices=("CPU", "CUDA"),
            no_effect=NOT_PROFILED,
        ),
        Option("profiling_record_shapes", True, "profile tensor shapes", no_effect=NOT_PROFILED),
        Option("profiling_profile_memory", True, "profile memory", no_effect=NOT_PROFILED),
        Option("profiling_with_stack", True, "profile Python stacks", no_effect=NOT_PROFILED),
        Option(
            "profiling_filename",
            "trace.json",
            "the profile of the last job",
            no_effect=NOT_PROFILED,
            form="file",
        ),
    ),
)

API = Section(
    "API",
    "API",
    (
        Option("api_enable_requests", True, "allow http(s) URLs as images", api_restricted=True),
        Option(
            "api_forbid_local_requests",
            True,
            "refuse URLs resolving to non-global addresses",
            api_restricted=True,
        ),
        Option("api_useragent", "", "user-agent header for such downloads", api_restricted=True),
    ),
)

UNSECTIONED = Section(
    "",
    "",
    (
        Option(
            "disabled_extensions", (), "folder names not loaded (start-up)", no_effect=EXTENSIONS
        ),
        Option(
            "disable_all_extensions",
            "none",
            "which extensions load at start",
            choices=("none", "extra", "all"),
            no_effect=EXTENSIONS,
        ),
        Option(
            "restore_config_state_file",
            "",
            "extension state to restore at the next start",
            no_effect=EXTENSIONS,
            form="file",
        ),
        Option(
            "sd_checkpoint_hash",
            "",
            "sha256 of the current checkpoint, written when it is loaded",
            no_effect=WRITTEN_BY_SERVER,
        ),
    ),
)
