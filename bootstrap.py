"""Wiring: the one place that knows every part.

`build` makes the use-cases for a Python caller, `build_app` the WSGI application, `main` is the
console script `hexfusion`. Reading order: Container, build, main.
"""

import faulthandler
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dependency_injector import containers, providers

from hexfusion.adapters.gpu.matched_noise import matched_noise
from hexfusion.adapters.gpu.parts import Backend, FakeParts, Parts
from hexfusion.adapters.http.access.access_log import AccessLog
from hexfusion.adapters.http.access.from_flags import accounts, cors, rate_limit, tls
from hexfusion.adapters.http.access.gate import Gate
from hexfusion.adapters.http.app import Services, create_app
from hexfusion.adapters.http.downloads.downloader import Downloader
from hexfusion.adapters.http.metrics import Metrics
from hexfusion.adapters.http.server import serve, threads_for
from hexfusion.adapters.machine import (
    Process,
    read_machine,
    read_ram,
    return_large_pictures,
    share_freed_memory,
)
from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.folders import files_below
from hexfusion.adapters.storage.fonts import open_font
from hexfusion.adapters.storage.parts import (
    file_catalog,
    file_networks,
    file_terms,
    file_vaes,
    hash_cache,
    image_archive,
    job_store,
)
from hexfusion.adapters.storage.settings.options_file import FileOptions
from hexfusion.adapters.storage.settings.styles_files import FileStyles
from hexfusion.adapters.storage.starter import starter_captioner
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.embeddings import ListEmbeddings
from hexfusion.application.catalogues.upscalers import ListUpscalers
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.describing.interrogate import Interrogate
from hexfusion.application.describing.picture_info import ReadPictureInfo
from hexfusion.application.extras.extras import ProcessExtras
from hexfusion.application.generation.extra_networks import ExtraNetworks
from hexfusion.application.generation.img2img import GenerateImg2Img
from hexfusion.application.generation.txt2img import GenerateTxt2Img
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.grouping import Grouping
from hexfusion.application.jobs.job import Meters
from hexfusion.application.jobs.progress import ReadProgress
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.task_progress import ListPendingTasks, ReadTaskProgress
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.pictures.faces import NoFaceRestorer
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.application.saving.save_images import SaveImages
from hexfusion.application.scripts.listing import ListScripts
from hexfusion.application.system.fetching import FetchPicture
from hexfusion.application.system.health import ReadHealth
from hexfusion.application.system.memory import ReadMemory
from hexfusion.application.system.options import ChangeOptions, ReadOptions, UnusedOptions
from hexfusion.application.system.sysinfo import ReadSysinfo
from hexfusion.domain.errors import HexfusionError
from hexfusion.domain.filenames import NameRules
from hexfusion.domain.flags import FlagError, Flags, command_line, help_text, parse_flags
from hexfusion.domain.seeds import SEED_RANGE
from hexfusion.domain.vaes import VaeFile

#: The A1111 whose behaviour we give; what infotext calls the version (docs/adr/0004).
A1111_VERSION = "v1.10.1"

#: Seconds that jobs have to end in when the server is told to stop.
GRACE = 30.0

log = logging.getLogger("hexfusion")


def torch_parts(flags: Flags, options: OptionsStore) -> Parts:
    """The real ones. torch and diffusers are imported here, and only when they are chosen."""
    from hexfusion.adapters.gpu.torch_backend.parts import TorchParts

    return TorchParts(
        flags, options, files_below=files_below, write=write_atomically, book=starter_captioner
    )


def vae_choice(flags: Flags, catalog: VaeCatalog) -> Vaes:
    """Who chooses VAEs; `--vae-path` leaves no choice."""
    path = flags.text("vae_path")
    forced = VaeFile(name=Path(path).name, filename=path) if path else None
    return Vaes(catalog, forced=forced, hashing=not flags.switch("no_hashing"))


def retention(flags: Flags) -> Retention:
    """How long they are kept."""
    return Retention(
        seconds=flags.integer("job_retention"),
        jobs=flags.integer("job_limit"),
        bytes=flags.integer("job_memory") << 20,
    )


def job_grouping(flags: Flags) -> Grouping:
    """How far jobs may be overtaken."""
    return Grouping(flags.integer("overtakes"), flags.integer("overtaking_time"))


def waiting_room(what: str, flags: Flags) -> WaitingRoom:
    """Where those wait who want that, outside the queue."""
    return WaitingRoom(what, flags.integer("loads_waiting"))


def name_rules(flags: Flags) -> NameRules:
    """What file names may hold."""
    return NameRules(
        max_length=flags.integer("filenames_max_length"),
        unix=flags.switch("unix_filenames_sanitization"),
    )


def process_control(flags: Flags) -> Process | None:
    """What clients may do to this process: nothing, unless `--api-server-stop`."""
    return Process(os.environ) if flags.switch("api_server_stop") else None


def about() -> Mapping[str, str]:
    """Which server this is."""
    return {"app": "hexfusion", "version": version("hexfusion"), "a1111": A1111_VERSION}


def watching(metrics: Metrics, jobs: JobQueue, memory: ReadMemory, backend: Backend) -> Metrics:
    """These metrics, showing the queue and the memory too: the queue itself needs them first."""
    metrics.watch(jobs, memory, backend.resident)
    return metrics


class Container(containers.DeclarativeContainer):
    """Who gets what. Everything is made at its first use, once."""

    flags = providers.Dependency(instance_of=Flags)
    clock = providers.Object(time.time)
    draw_seed = providers.Object(lambda: secrets.randbelow(SEED_RANGE))
    version = providers.Object(A1111_VERSION)

    # Adapters: what the ports are plugged into.
    options = providers.Singleton(
        FileOptions, providers.Factory(Path, flags.provided["ui_settings_file"])
    )
    parts = providers.Selector(
        flags.provided["backend"],
        torch=providers.Singleton(torch_parts, flags, options),
        fake=providers.Singleton(FakeParts),
    )
    backend = providers.Callable(lambda parts: parts.inference, parts)
    upscaler = providers.Callable(lambda parts: parts.upscaler, parts)
    interrogator = providers.Callable(lambda parts: parts.interrogator, parts)
    faces = providers.Callable(lambda parts: parts.faces, parts)
    hashes = providers.Singleton(hash_cache, flags)
    catalog = providers.Singleton(file_catalog, flags, hashes)
    vae_catalog = providers.Singleton(file_vaes, flags, hashes)
    styles = providers.Singleton(
        lambda flags: FileStyles([Path(file) for file in flags.texts("styles_file")]), flags
    )
    networks = providers.Singleton(file_networks, flags, hashes)
    archive = providers.Singleton(image_archive, flags, options)

    # Use-cases.
    loads = providers.Singleton(waiting_room, "a checkpoint to load", flags)
    searches = providers.Singleton(waiting_room, "files to be looked for", flags)
    unused_options = providers.Singleton(UnusedOptions)
    metrics = providers.Singleton(Metrics)
    vaes = providers.Singleton(vae_choice, flags, vae_catalog)
    models = providers.Singleton(
        lambda catalog, host, vaes, flags: Models(
            catalog, host, hashing=not flags.switch("no_hashing"), vaes=vaes
        ),
        catalog,
        backend,
        vaes,
        flags,
    )
    jobs = providers.Singleton(
        JobQueue,
        clock,
        slots=flags.provided["slots"],
        max_waiting=flags.provided["queue"],
        meters=providers.Factory(Meters, metrics.provided.step, metrics.provided.job),
        grouping=providers.Singleton(job_grouping, flags),
        ready=models.provided.ready,
    )
    board = providers.Singleton(
        JobBoard,
        jobs,
        providers.Singleton(job_store, flags),
        clock,
        providers.Singleton(retention, flags),
    )
    saving = providers.Singleton(
        SaveImages,
        archive,
        styles=styles.provided.styles,
        clock=clock,
        rules=providers.Singleton(name_rules, flags),
        history=providers.Callable(lambda flags: not flags.switch("no_prompt_history"), flags),
    )
    extra_networks = providers.Singleton(
        lambda catalog, flags: ExtraNetworks(
            catalog,
            hashing=not flags.switch("no_hashing"),
            strict=flags.switch("strict_networks"),
        ),
        networks,
        flags,
    )
    interrogate = providers.Singleton(
        Interrogate, interrogator, providers.Singleton(file_terms, flags), options
    )
    noise = providers.Object(matched_noise)
    txt2img = providers.Singleton(
        GenerateTxt2Img,
        backend,
        models,
        vaes,
        options,
        jobs,
        saving,
        styles=styles.provided.styles,
        draw_seed=draw_seed,
        clock=clock,
        version=version,
        upscaler=upscaler,
        networks=extra_networks,
        open_font=providers.Object(open_font),
        matched_noise=noise,
        faces=faces,
        words=interrogate.provided.words,
        unused=unused_options,
    )
    img2img = providers.Singleton(GenerateImg2Img, *txt2img.args, **txt2img.kwargs)
    progress = providers.Singleton(ReadProgress, jobs, options, board.provided.finished)
    task_progress = providers.Singleton(ReadTaskProgress, jobs, options, board.provided.finished)
    pending_tasks = providers.Singleton(ListPendingTasks, jobs)
    download = providers.Singleton(Downloader)
    fetch = providers.Singleton(FetchPicture, download, options)
    png_info = providers.Singleton(
        ReadPictureInfo,
        options,
        styles=styles.provided.styles,
        lora_named=extra_networks.provided.lora_named,
    )
    extras = providers.Singleton(ProcessExtras, upscaler, options, faces)
    list_upscalers = providers.Singleton(ListUpscalers, upscaler, options)
    read_options = providers.Singleton(ReadOptions, options, live=models.provided.shown)
    change_options = providers.Singleton(
        ChangeOptions,
        options,
        find_checkpoint=catalog.provided.resolve,
        policy=flags.provided.write_policy.call(),
        on_change=providers.Dict(
            sd_model_checkpoint=models.provided.load,
            sd_vae=models.provided.load_vae,
            sd_vae_overrides_per_model_preferences=models.provided.load_vae,
        ),
        loads=loads,
        unused=unused_options,
    )
    list_embeddings = providers.Singleton(ListEmbeddings, networks, models, options)
    list_scripts = providers.Singleton(ListScripts, models, options, upscaler)
    memory = providers.Singleton(ReadMemory, providers.Object(read_ram), backend)
    health = providers.Singleton(ReadHealth, models, options, jobs)
    sysinfo = providers.Singleton(
        ReadSysinfo,
        providers.Object(read_machine),
        options,
        clock,
        version=version,
        data_path=flags.provided["data_dir"],
        command_line=providers.Callable(command_line, flags),
    )

    process = providers.Callable(process_control, flags)

    services = providers.Singleton(
        Services,
        txt2img=txt2img,
        img2img=img2img,
        board=board,
        progress=progress,
        task_progress=task_progress,
        pending_tasks=pending_tasks,
        interrupt=jobs.provided.interrupt,
        skip=jobs.provided.skip,
        png_info=png_info,
        fetch=fetch,
        extras=extras,
        interrogate=interrogate,
        upscalers=list_upscalers,
        face_restorers=providers.Factory(lambda faces: faces.list, faces),
        read_options=read_options,
        change_options=change_options,
        checkpoints=models.provided.list,
        refresh_checkpoints=providers.Factory(
            lambda room, models, options: room.bounded(lambda: models.refresh(options.snapshot())),
            searches,
            models,
            options,
        ),
        vaes=vaes.provided.list,
        refresh_vaes=searches.provided.bounded.call(vaes.provided.refresh),
        refresh_loras=searches.provided.bounded.call(networks.provided.refresh_loras),
        refresh_embeddings=searches.provided.bounded.call(networks.provided.refresh_embeddings),
        styles=styles.provided.styles,
        networks=networks,
        embeddings=list_embeddings,
        scripts=list_scripts,
        unload_checkpoint=loads.provided.bounded.call(models.provided.unload),
        reload_checkpoint=providers.Factory(
            lambda room, models, options: room.bounded(lambda: models.load(options.snapshot())),
            loads,
            models,
            options,
        ),
        memory=memory,
        health=health,
        metrics=providers.Singleton(watching, metrics, jobs, memory, backend),
        cmd_flags=flags.provided.wire,
        about=providers.Object(about),
        sysinfo=sysinfo,
        process=process,
    )


def build(argv: Sequence[str] = (), **parts: Any) -> Services:
    """The use-cases, wired as the flags in `argv` say.

    `parts` replaces members of the Container: `build(backend=MyBackend())`.
    """
    return assemble(parse_flags(argv, os.environ, absolute=os.path.abspath), **parts).services()


def assemble(flags: Flags, **parts: Any) -> Container:
    """A container for these flags, with `parts` put in the places they name.

    A backend of one's own has no upscaler, interrogator or face restorer but one's own.
    """
    container = Container(flags=providers.Object(flags))
    if "backend" in parts:
        parts.setdefault("parts", FakeParts(faces=NoFaceRestorer()))
    for name, part in parts.items():
        getattr(container, name).override(providers.Object(part))
    return container


def build_app(container: Container) -> Any:
    """The WSGI application of a container's use-cases. Raises `FlagError`."""
    flags: Flags = container.flags()
    gate = Gate(accounts(flags), rate_limit(flags))
    pages = cors(flags)
    return create_app(
        container.services(),
        version=version("hexfusion"),
        max_body=flags.max_body,
        gate=gate,
        cors=pages,
        log=AccessLog(write_line) if flags.switch("api_log") else None,
    )


def write_line(line: str) -> None:
    """To standard output at once, and as a whole though many threads write."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def load_model(container: Container) -> None:
    """Load the configured checkpoint, and say so; a failure is told, not fatal."""
    started = time.perf_counter()
    try:
        checkpoint = container.models().load(container.options().snapshot())
    except HexfusionError as error:
        log.error("no checkpoint is loaded: %s", error)
    else:
        log.info("loaded %s in %.1f s", checkpoint.title, time.perf_counter() - started)


def stop_jobs(container: Container) -> None:
    """Tell jobs that the server stops, after all threads' stacks if an option wants those."""
    if container.options().snapshot().flag("dump_stacks_on_signal"):
        faulthandler.dump_traceback(all_threads=True)
    container.board().stop(GRACE)


def main(argv: Sequence[str] | None = None) -> int:
    """Start the server; returns the exit status."""
    try:
        arguments = sys.argv[1:] if argv is None else argv
        flags = parse_flags(arguments, os.environ, absolute=os.path.abspath)
    except FlagError as error:
        print(f"hexfusion: {error}", file=sys.stderr)
        return 2
    if flags.switch("help"):
        print(help_text())
        return 0
    logging.basicConfig(
        level=flags.text("loglevel").upper() or "INFO", format="%(levelname)s %(name)s: %(message)s"
    )
    for option in (*flags.ignored(), *flags.unknown):
        log.warning("%s has no effect here", option)
    share_freed_memory()
    return_large_pictures()
    container = assemble(flags)
    try:
        certificate, app = tls(flags), build_app(container)
        container.unused_options()(container.options().snapshot())
    except FlagError as error:
        print(f"hexfusion: {error}", file=sys.stderr)
        return 2
    if not flags.switch("skip_load_model_at_start"):
        # In the background: the port answers at once, and the first request waits for the model.
        threading.Thread(target=load_model, args=(container,), daemon=True).start()
    scheme = "https" if certificate else "http"
    try:
        serve(
            app,
            host=flags.host,
            port=flags.port,
            threads=threads_for(
                flags.integer("slots"), flags.integer("queue"), flags.integer("loads_waiting")
            ),
            max_body=flags.max_body,
            keep_alive=flags.integer("timeout_keep_alive"),
            prefix=flags.text("subpath"),
            trusted_proxy=flags.text("trusted_proxy"),
            tls=certificate,
            on_ready=lambda port: log.info("ready: %s://%s:%d/docs", scheme, flags.host, port),
            grace=GRACE,
            on_stop=lambda: stop_jobs(container),
            busy=lambda: container.board().busy,
        )
    except OSError as error:
        print(f"hexfusion: cannot listen on {flags.host}:{flags.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
