"""Wiring: the one place that knows every part.

`build` makes a `Studio` for a Python caller, `build_app` the WSGI application, `main` is the
console script. Read build, main, Container; what a part is made of is told where the part is:
`adapters/*/parts.py`, `application/from_flags.py`.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence

from dependency_injector import containers, providers

from hexfusion.adapters import machine
from hexfusion.adapters.gpu.backends import make_parts
from hexfusion.adapters.gpu.matched_noise import matched_noise
from hexfusion.adapters.gpu.parts import Backend, Files, Parts, parts_of
from hexfusion.adapters.http.access.from_flags import tls
from hexfusion.adapters.http.app import Application, Services, orders_by_route
from hexfusion.adapters.http.downloads.downloader import Downloader, DownloadLimits
from hexfusion.adapters.http.errors import explain
from hexfusion.adapters.http.from_flags import make_app, serve_app
from hexfusion.adapters.http.metrics import Metrics, watching
from hexfusion.adapters.leaving import leave
from hexfusion.adapters.storage import from_flags as storage
from hexfusion.adapters.storage.atomic_write import write_atomically
from hexfusion.adapters.storage.folders import files_below
from hexfusion.adapters.storage.fonts import open_font
from hexfusion.adapters.storage.starter import starter_captioner
from hexfusion.application import from_flags as made
from hexfusion.application.catalogues.checkpoints import Checkpoints
from hexfusion.application.catalogues.embeddings import ListEmbeddings
from hexfusion.application.catalogues.upscalers import ListUpscalers
from hexfusion.application.describing.interrogate import Interrogate
from hexfusion.application.describing.picture_info import ReadPictureInfo
from hexfusion.application.extras.extras import ProcessExtras
from hexfusion.application.generation.img2img import GenerateImg2Img
from hexfusion.application.generation.txt2img import GenerateTxt2Img
from hexfusion.application.jobs.progress import ReadProgress
from hexfusion.application.jobs.task_progress import ListPendingTasks, ReadTaskProgress
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.scripts.listing import ListScripts
from hexfusion.application.studio import Studio
from hexfusion.application.system.fetching import FetchPicture
from hexfusion.application.system.health import ReadHealth
from hexfusion.application.system.memory import ReadMemory
from hexfusion.application.system.named_things import NamedThings
from hexfusion.application.system.options import ReadOptions, UnusedOptions
from hexfusion.application.system.version import A1111_VERSION
from hexfusion.domain.flags import FlagError, Flags, Setting, arguments, help_text, parse_flags


class Container(containers.DeclarativeContainer):
    """Who gets what. Everything is made at its first use, once."""

    flags = providers.Dependency(instance_of=Flags)
    clock = providers.Object(time.time)
    steady_clock = providers.Singleton(machine.steady_clock)
    draw_seed = providers.Object(machine.draw_seed)
    read_machine = providers.Object(machine.read_machine)

    # Adapters: what the ports are plugged into.
    options = providers.Singleton(storage.file_options, flags)
    styles = providers.Singleton(storage.file_styles, flags)
    hashes = providers.Singleton(storage.hash_cache, flags)
    catalog = providers.Singleton(storage.file_catalog, flags, hashes)
    vae_catalog = providers.Singleton(storage.file_vaes, flags, hashes)
    networks = providers.Singleton(storage.file_networks, flags, hashes)
    archive = providers.Singleton(storage.image_archive, flags, options)
    job_store = providers.Singleton(storage.job_store, flags)
    open_spool = providers.Singleton(storage.open_spool, flags)
    job_limits = flags.provided.job_limits.call()
    terms = providers.Singleton(storage.file_terms, flags)
    files = providers.Object(Files(files_below, write_atomically, starter_captioner))
    parts = providers.Singleton(make_parts, flags, options, files)
    backend = parts.provided.inference
    upscaler = parts.provided.upscaler
    faces = parts.provided.faces
    metrics = providers.Singleton(Metrics)
    process = providers.Singleton(machine.process_control, flags)
    noise = providers.Object(matched_noise)

    # Use-cases.
    vaes = providers.Singleton(made.vaes, flags, vae_catalog)
    loads = providers.Singleton(made.waiting_room, flags, "a checkpoint to load")
    searches = providers.Singleton(made.waiting_room, flags, "files to be looked for")
    unused_options = providers.Singleton(UnusedOptions)
    models = providers.Singleton(made.models, flags, catalog, backend, vaes)
    checkpoints = providers.Singleton(Checkpoints, models, options)
    extra_networks = providers.Singleton(made.extra_networks, flags, networks)
    after_work = providers.Singleton(machine.AfterWork)
    meters = providers.Singleton(
        made.meters, metrics.provided.step, metrics.provided.job, after_work
    )
    jobs = providers.Singleton(made.job_queue, flags, steady_clock, meters, models.provided.ready)
    board = providers.Singleton(
        made.job_board,
        flags,
        jobs,
        job_store,
        steady_clock,
        providers.Singleton(storage.reply_spool, flags),
        providers.Object(explain),
    )
    saving = providers.Singleton(made.save_images, flags, archive, styles, clock)
    pixels = providers.Singleton(made.pixel_budget, flags)
    interrogate = providers.Singleton(
        Interrogate, parts.provided.interrogator, terms, options, pixels
    )
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
        clock=steady_clock,
        version=A1111_VERSION,
        upscaler=upscaler,
        networks=extra_networks,
        open_font=providers.Object(open_font),
        matched_noise=noise,
        faces=faces,
        words=interrogate.provided.words,
        unused=unused_options,
        pixels=pixels,
        limits=job_limits,
        open_spool=open_spool,
    )
    img2img = providers.Singleton(GenerateImg2Img, *txt2img.args, **txt2img.kwargs)
    enlarged = providers.Singleton(made.enlarged_pictures, flags)
    extras = providers.Singleton(
        ProcessExtras,
        upscaler,
        options,
        faces,
        pixels,
        enlarged,
        limits=job_limits,
        open_spool=open_spool,
    )
    progress = providers.Singleton(ReadProgress, jobs, options, board.provided.finished)
    task_progress = providers.Singleton(ReadTaskProgress, jobs, options, board.provided.finished)
    downloads = providers.Singleton(
        WaitingRoom, "a picture to be fetched", DownloadLimits().at_once - 1
    )
    fetch = providers.Singleton(FetchPicture, providers.Singleton(Downloader), options, downloads)
    picture_info = providers.Singleton(
        ReadPictureInfo,
        options,
        styles=styles.provided.styles,
        lora_named=extra_networks.provided.lora_named,
    )
    upscalers = providers.Singleton(ListUpscalers, upscaler, options)
    read_options = providers.Singleton(ReadOptions, options, live=models.provided.shown)
    named = providers.Singleton(NamedThings, upscaler, faces, providers.Object(open_font))
    change_options = providers.Singleton(
        made.change_options, flags, options, catalog, models, loads, unused_options, archive, named
    )
    memory = providers.Singleton(ReadMemory, providers.Object(machine.read_ram), backend)

    studio = providers.Singleton(
        Studio,
        txt2img=txt2img,
        img2img=img2img,
        extras=extras,
        interrogate=interrogate,
        picture_info=picture_info,
        fetch=fetch,
        jobs=jobs,
        progress=progress,
        read_options=read_options,
        change_options=change_options,
        checkpoints=checkpoints,
        vaes=vaes,
        networks=networks,
        upscalers=upscalers,
        clock=steady_clock,
    )
    services = providers.Singleton(
        Services,
        txt2img=txt2img,
        img2img=img2img,
        board=board,
        progress=progress,
        task_progress=task_progress,
        pending_tasks=providers.Singleton(ListPendingTasks, jobs),
        interrupt=jobs.provided.interrupt,
        skip=jobs.provided.skip,
        png_info=picture_info,
        fetch=fetch,
        extras=extras,
        interrogate=interrogate,
        upscalers=upscalers,
        face_restorers=faces.provided.list,
        read_options=read_options,
        change_options=change_options,
        checkpoints=checkpoints.provided.list,
        refresh_checkpoints=searches.provided.bounded.call(checkpoints.provided.refresh),
        vaes=vaes.provided.list,
        refresh_vaes=searches.provided.bounded.call(vaes.provided.refresh),
        refresh_loras=searches.provided.bounded.call(networks.provided.refresh_loras),
        refresh_embeddings=searches.provided.bounded.call(networks.provided.refresh_embeddings),
        styles=styles.provided.styles,
        networks=networks,
        embeddings=providers.Singleton(ListEmbeddings, networks, models, options),
        scripts=providers.Singleton(ListScripts, models, options, upscaler),
        unload_checkpoint=loads.provided.bounded.call(checkpoints.provided.unload),
        reload_checkpoint=loads.provided.bounded.call(checkpoints.provided.load),
        memory=memory,
        health=providers.Singleton(ReadHealth, models, options, jobs, job_store.provided.probe),
        metrics=providers.Singleton(watching, metrics, jobs, memory, backend),
        cmd_flags=flags.provided.wire,
        about=providers.Object(machine.about),
        sysinfo=providers.Singleton(made.sysinfo, flags, read_machine, options, clock),
        process=process,
    )
    restart_jobs = providers.Singleton(
        made.restart_jobs,
        flags,
        board,
        job_store,
        providers.Singleton(orders_by_route, services),
    )


def build(
    argv: Sequence[str] = (),
    *,
    data_dir: str | os.PathLike[str] | None = None,
    backend: str | Backend | Parts | None = None,
    **flags: Setting,
) -> Studio:
    """The library: makes pictures, as the flags say. Nothing is loaded yet. Raises `FlagError`.

    `argv` are flags as on the command line of `hexfusion`; keywords are flags too, and win:
    `build(no_half=True, threads=2)`. `data_dir` is the folder of models and settings (default:
    `$HEXFUSION_DATA` or ./data). `backend` is a name (`torch`, `fake`, or what an installed
    package declares), or an object: a `Backend`, or the `Parts` of one.
    """
    name, own = (backend, None) if isinstance(backend, str) else (None, backend)
    words = [*argv, *arguments({"data_dir": data_dir, "backend": name, **flags})]
    settings = parse_flags(words, os.environ, absolute=os.path.abspath)
    return assemble(settings, backend=own).studio()


def assemble(flags: Flags, *, backend: Backend | Parts | None = None, **parts: object) -> Container:
    """A container for these flags; `parts` take the places in it that they name.

    A backend that is given, rather than named by a flag, has no parts but its own.
    """
    container = Container(flags=providers.Object(flags))
    if backend is not None:
        parts = {"parts": parts_of(backend), **parts}
    for name, part in parts.items():
        getattr(container, name).override(providers.Object(part))
    return container


def build_app(container: Container) -> Application:
    """The WSGI application of a container's use-cases. Raises `FlagError`."""
    return make_app(container.flags(), container.services, machine.own_version())


def main(argv: Sequence[str] | None = None) -> int:
    """The console script: start the server; returns the exit status."""
    try:
        words = sys.argv[1:] if argv is None else argv
        flags = parse_flags(words, os.environ, absolute=os.path.abspath)
        if flags.switch("help"):
            print(help_text())
            return 0
        machine.prepare(flags)
        container = assemble(flags)
        certificate, app = tls(flags), build_app(container)
        container.unused_options()(container.options().snapshot())
    except FlagError as error:
        print(f"hexfusion: {error}", file=sys.stderr)
        return 2
    if not flags.switch("skip_load_model_at_start"):
        # In the background: the port answers at once, and the first request waits for the model.
        threading.Thread(target=container.checkpoints().load_at_start, daemon=True).start()
    threading.Thread(target=container.restart_jobs(), daemon=True).start()
    status = serve_app(flags, app, container.board(), container.options(), certificate)
    return leave(status, container.job_store().close)


if __name__ == "__main__":
    sys.exit(main())
