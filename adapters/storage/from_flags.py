"""What lies on disk, opened as the flags say."""

from pathlib import Path

from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog, checkpoint_folders
from hexfusion.adapters.storage.catalogues.extra_networks_files import FileNetworks
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.catalogues.vaes_files import FileVaes, vae_folders
from hexfusion.adapters.storage.results.images_files import FileImages
from hexfusion.adapters.storage.results.jobs_files import FileJobs
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.settings.options_file import FileOptions
from hexfusion.adapters.storage.settings.styles_files import FileStyles
from hexfusion.adapters.storage.settings.terms_files import FileTerms
from hexfusion.adapters.storage.starter import install_starter
from hexfusion.application.ports.jobs import JobStore
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.saving.save_images import FOLDERS
from hexfusion.domain.flags import Flags


def file_options(flags: Flags) -> FileOptions:
    """The settings, which clients may change."""
    return FileOptions(Path(flags.text("ui_settings_file")))


def file_styles(flags: Flags) -> FileStyles:
    """Styles for prompts."""
    return FileStyles([Path(file) for file in flags.texts("styles_file")])


def hash_cache(flags: Flags) -> HashCache:
    """Of this data folder. There must be one alone, since it writes what it remembers."""
    return HashCache(Path(flags.text("data_dir")) / "cache.json")


def file_catalog(flags: Flags, hashes: HashCache) -> FileCatalog:
    """Checkpoints on disk; a data directory without any gets the one that ships."""
    models, extra = Path(flags.models_dir), flags.text("ckpt_dir")
    folders = checkpoint_folders(models, Path(extra) if extra else None)
    selected = Path(flags.text("ckpt"))
    if not flags.switch("no_download_sd_model") and not selected.is_file():
        install_starter(folders)
    return FileCatalog(folders, hashes, selected=selected)


def file_vaes(flags: Flags, hashes: HashCache) -> FileVaes:
    """VAEs on disk."""
    given = (flags.text("ckpt_dir"), flags.text("vae_dir"))
    extra = [Path(folder) if folder else None for folder in given]
    return FileVaes(vae_folders(Path(flags.models_dir), *extra), hashes)


def image_archive(flags: Flags, options: OptionsStore) -> FileImages:
    """Below the data folder, and below the output folders that the settings name at start.

    A client that changes the settings later cannot open further folders.
    """
    stored = options.snapshot()
    folders = (Path(stored.text(option)) for option in FOLDERS)
    return FileImages(Path(flags.text("data_dir")), *folders)


def job_store(flags: Flags) -> JobStore:
    """Where finished jobs are kept: in memory, or in files that outlive the server."""
    folder = flags.text("job_dir")
    return FileJobs(Path(folder)) if folder else MemoryJobs()


def file_networks(flags: Flags, hashes: HashCache) -> FileNetworks:
    """LoRA, hypernetworks and embeddings on disk."""
    return FileNetworks(
        hashes,
        loras=[Path(flags.text("lora_dir")), Path(flags.text("lyco_dir_backcompat"))],
        embeddings=Path(flags.text("embeddings_dir")),
        hypernetworks=Path(flags.text("hypernetwork_dir")),
    )


def file_terms(flags: Flags) -> FileTerms:
    """Lists of terms that pictures are compared with (spec images.md 12.1)."""
    return FileTerms(Path(flags.text("data_dir")) / "interrogate")
