"""Creates the storage adapters from the command-line flags."""

import logging
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog, checkpoint_folders
from hexfusion.adapters.storage.catalogues.extra_networks_files import FileNetworks
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.catalogues.vaes_files import FileVaes, vae_folders
from hexfusion.adapters.storage.results.bodies_files import spooled
from hexfusion.adapters.storage.results.images_files import FileImages
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
from hexfusion.adapters.storage.results.spool_files import FileSpool
from hexfusion.adapters.storage.settings.options_file import FileOptions
from hexfusion.adapters.storage.settings.styles_files import FileStyles
from hexfusion.adapters.storage.settings.terms_files import FileTerms
from hexfusion.adapters.storage.starter import install_starter
from hexfusion.application.ports.jobs import JobStore, JobStoreError, Spool
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.spool import OpenSpool
from hexfusion.application.system.folders import OUTPUT_FOLDERS
from hexfusion.domain.flags import FlagError, Flags

_log = logging.getLogger("hexfusion.options")


def file_options(flags: Flags) -> FileOptions:
    """The options in the settings file (`--ui-settings-file`)."""
    limit = flags.integer("settings_size") << 10
    return FileOptions(Path(flags.text("ui_settings_file")), limit=limit)


def file_styles(flags: Flags) -> FileStyles:
    """The prompt styles in the files of `--styles-file`."""
    return FileStyles([Path(file) for file in flags.texts("styles_file")])


def hash_cache(flags: Flags) -> HashCache:
    """The hash cache of the data folder. There must be only one, since it rewrites its file."""
    return HashCache(Path(flags.text("data_dir")) / "cache.json")


def file_catalog(flags: Flags, hashes: HashCache) -> FileCatalog:
    """The checkpoints on disk; the starter is installed if there are none."""
    models, extra = Path(flags.models_dir), flags.text("ckpt_dir")
    folders = checkpoint_folders(models, Path(extra) if extra else None)
    selected = Path(flags.text("ckpt"))
    if not flags.switch("no_download_sd_model") and not selected.is_file():
        install_starter(folders)
    return FileCatalog(folders, hashes, selected=selected)


def file_vaes(flags: Flags, hashes: HashCache) -> FileVaes:
    """The VAE files on disk."""
    given = (flags.text("ckpt_dir"), flags.text("vae_dir"))
    extra = [Path(folder) if folder else None for folder in given]
    return FileVaes(vae_folders(Path(flags.models_dir), *extra), hashes)


def image_archive(flags: Flags, options: OptionsStore) -> FileImages:
    """The archive below the data folder and the output folders in the options at start.

    Folders that clients set later are not added: clients cannot open new folders. Those outside of
    the data folder are told in the log, with the option that names each: a settings file of an
    earlier version may hold one that a client chose (ADR 23).
    """
    stored, data = options.snapshot(), Path(flags.text("data_dir"))
    archive = FileImages(data)
    for key in OUTPUT_FOLDERS:
        if not archive.holds(stored.text(key)):
            _log.warning(
                "pictures may be written to %s, outside of the data folder: %s names it as %s; if"
                " you did not put it there, take it out and start again",
                (data / stored.text(key)).resolve(),
                flags.text("ui_settings_file"),
                key,
            )
    return FileImages(data, *(Path(stored.text(key)) for key in OUTPUT_FOLDERS))


def job_store(flags: Flags) -> JobStore:
    """The store of jobs: in the folder `--job-dir`, or in memory.

    Raises `FlagError` if the folder cannot be used.
    """
    folder = flags.text("job_dir")
    try:
        return SqliteJobs(Path(folder)) if folder else MemoryJobs()
    except JobStoreError as error:
        raise FlagError("--job-dir", str(error)) from error


def open_spool(flags: Flags) -> OpenSpool:
    """Makes spools for the pictures of jobs, in `--spool-dir` or the system's temporary folder.

    Raises `FlagError` for a folder in which no file can be made.
    """
    folder = _spool_folder(flags)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FlagError("--spool-dir", f"no file can be made in it: {error}") from error
    return lambda: FileSpool(folder)


def reply_spool(flags: Flags) -> Spool:
    """Collects replies, large ones in the folder of the spools of pictures."""
    return partial(spooled, folder=_spool_folder(flags))


def _spool_folder(flags: Flags) -> Path | None:
    given = flags.text("spool_dir")
    return Path(given) if given else None


def file_networks(flags: Flags, hashes: HashCache) -> FileNetworks:
    """The LoRA, hypernetwork and embedding files on disk."""
    return FileNetworks(
        hashes,
        loras=[Path(flags.text("lora_dir")), Path(flags.text("lyco_dir_backcompat"))],
        embeddings=Path(flags.text("embeddings_dir")),
        hypernetworks=Path(flags.text("hypernetwork_dir")),
    )


def file_terms(flags: Flags) -> FileTerms:
    """The term lists of the CLIP interrogator (spec images.md 12.1)."""
    return FileTerms(Path(flags.text("data_dir")) / "interrogate")
