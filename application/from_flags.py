"""Factories of the use-cases that are configured by command-line flags."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.catalogues.vaes import Vaes
from hexfusion.application.extras.upscale_step import Enlarged
from hexfusion.application.generation.extra_networks import ExtraNetworks
from hexfusion.application.jobs.allotment import shared
from hexfusion.application.jobs.board import MAX_WATCHERS, JobBoard
from hexfusion.application.jobs.grouping import Grouping
from hexfusion.application.jobs.job import Clock, Job, Meters
from hexfusion.application.jobs.kept import Explain
from hexfusion.application.jobs.queue import JobQueue, Ready
from hexfusion.application.jobs.restart import MakeOrder, RestartJobs
from hexfusion.application.jobs.retention import Retention
from hexfusion.application.jobs.waiting_room import WaitingRoom
from hexfusion.application.pictures.pixel_budget import MEGA, PixelBudget
from hexfusion.application.ports.checkpoints import ModelCatalog
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.ports.images import ImageArchive
from hexfusion.application.ports.inference import ModelHost
from hexfusion.application.ports.jobs import JobStore, Spool
from hexfusion.application.ports.options import OptionsStore
from hexfusion.application.ports.styles import StyleStore
from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.application.saving.save_images import SaveImages
from hexfusion.application.system.folders import check_folders
from hexfusion.application.system.named_things import NamedThings
from hexfusion.application.system.options import ChangeOptions, UnusedOptions
from hexfusion.application.system.sysinfo import ReadSysinfo
from hexfusion.application.system.version import A1111_VERSION
from hexfusion.domain.filenames import NameRules
from hexfusion.domain.flags import Flags, command_line
from hexfusion.domain.options import Options
from hexfusion.domain.vaes import VaeFile


def vaes(flags: Flags, catalog: VaeCatalog) -> Vaes:
    """The use-case that chooses VAEs; `--vae-path` forces one."""
    path = flags.text("vae_path")
    forced = VaeFile(name=Path(path).name, filename=path) if path else None
    return Vaes(catalog, forced=forced, hashing=not flags.switch("no_hashing"))


def models(flags: Flags, catalog: ModelCatalog, host: ModelHost, vaes: Vaes) -> Models:
    """The use-case that chooses checkpoints."""
    return Models(catalog, host, hashing=not flags.switch("no_hashing"), vaes=vaes)


def extra_networks(flags: Flags, catalog: NetworkCatalog) -> ExtraNetworks:
    """The use-case that finds the networks named in prompts."""
    return ExtraNetworks(
        catalog, hashing=not flags.switch("no_hashing"), strict=flags.switch("strict_networks")
    )


def meters(
    step: Callable[[float], None], job: Callable[[Job], None], after_work: Callable[[], None]
) -> Meters:
    """What hears of steps and jobs: those that count, and `after_work`, called after each job."""

    def ended(over: Job) -> None:
        job(over)
        after_work()

    return Meters(step, ended)


def job_queue(flags: Flags, clock: Clock, meters: Meters, ready: Ready) -> JobQueue:
    """The job queue: numbers of running and waiting jobs, and how far jobs may be overtaken."""
    return JobQueue(
        clock,
        slots=flags.integer("slots"),
        max_waiting=flags.integer("queue"),
        meters=meters,
        grouping=Grouping(flags.integer("overtakes"), flags.integer("overtaking_time")),
        ready=ready,
        share=shared(flags.integer("queue"), flags.integer("queue_per_user")),
        seconds=flags.job_limits().seconds,
    )


def pixel_budget(flags: Flags) -> PixelBudget:
    """The bounds of the pictures that requests bring."""
    return PixelBudget(
        flags.integer("request_megapixels") * MEGA, flags.integer("decoded_megapixels") * MEGA
    )


def enlarged_pictures(flags: Flags) -> Enlarged:
    """The cache of pictures that extras have enlarged."""
    return Enlarged(flags.integer("picture_cache") << 20)


def waiting_room(flags: Flags, what: str) -> WaitingRoom:
    """A bounded waiting room for work outside of the queue; `what` names it in errors."""
    return WaitingRoom(what, flags.integer("loads_waiting"))


def job_board(
    flags: Flags, jobs: JobQueue, store: JobStore, clock: Clock, spool: Spool, explain: Explain
) -> JobBoard:
    """The board of jobs by id, with the retention of finished ones."""
    retention = Retention(
        seconds=flags.integer("job_retention"),
        jobs=flags.integer("job_limit"),
        bytes=flags.integer("job_memory") << 20,
        all_jobs=flags.integer("job_limit_all"),
    )
    watchers = shared(MAX_WATCHERS, flags.integer("watchers_per_user"))
    return JobBoard(jobs, store, clock, retention, watchers=watchers, spool=spool, explain=explain)


def restart_jobs(
    flags: Flags, board: JobBoard, store: JobStore, orders: Mapping[str, MakeOrder]
) -> RestartJobs:
    """The use-case that takes up the jobs of the server before."""
    return RestartJobs(board, store, orders, requeue=flags.text("on_restart") == "requeue")


def save_images(
    flags: Flags, archive: ImageArchive, styles: StyleStore, clock: Clock
) -> SaveImages:
    """The use-case that saves pictures, with the rules of file names and the prompt history."""
    rules = NameRules(
        max_length=flags.integer("filenames_max_length"),
        unix=flags.switch("unix_filenames_sanitization"),
    )
    history = not flags.switch("no_prompt_history")
    return SaveImages(
        archive,
        styles=styles.styles,
        clock=clock,
        rules=rules,
        history=history,
        limits=flags.job_limits(),
    )


def change_options(
    flags: Flags,
    options: OptionsStore,
    catalog: ModelCatalog,
    models: Models,
    loads: WaitingRoom,
    unused: UnusedOptions,
    archive: ImageArchive,
    named: NamedThings,
) -> ChangeOptions:
    """The use-case that changes options: write policy, what is loaded on change, and its queue.

    Options name no folder outside of the `archive`, and nothing that `named` does not find.
    """

    def check(changed: Options, present: Options) -> None:
        check_folders(archive, changed, present)
        named.check(changed, present)

    return ChangeOptions(
        options,
        find_checkpoint=catalog.resolve,
        policy=flags.write_policy(),
        on_change={
            "sd_model_checkpoint": models.load,
            "sd_vae": models.load_vae,
            "forge_additional_modules": models.load_vae,
            "sd_vae_overrides_per_model_preferences": models.load_vae,
        },
        loads=loads,
        unused=unused,
        check=check,
    )


def sysinfo(
    flags: Flags,
    machine: Callable[[], Mapping[str, object]],
    options: OptionsStore,
    clock: Clock,
) -> ReadSysinfo:
    """The use-case that reports on the server."""
    given: Sequence[str] = command_line(flags)
    return ReadSysinfo(
        machine,
        options,
        clock,
        version=A1111_VERSION,
        data_path=flags.text("data_dir"),
        command_line=given,
    )
