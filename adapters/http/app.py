"""The Falcon application: the route table and the middleware."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import falcon
from falcon.routing import CompiledRouter

from hexfusion.adapters.http import errors
from hexfusion.adapters.http.access.access_log import AccessLog
from hexfusion.adapters.http.access.accounts import Denied
from hexfusion.adapters.http.access.body_memory import BodyMemory
from hexfusion.adapters.http.access.cors import Cors, ForeignPage
from hexfusion.adapters.http.access.gate import ADMISSION, OPEN, Gate, HostCheck
from hexfusion.adapters.http.access.hosts import BadHost, Hosts, UnknownHost
from hexfusion.adapters.http.access.rate_limit import TooManyRequests
from hexfusion.adapters.http.access.refusal_log import RefusalLog
from hexfusion.adapters.http.access.roles import AdminsOnly
from hexfusion.adapters.http.documents import pages as documents
from hexfusion.adapters.http.head_requests import HeadAsGet
from hexfusion.adapters.http.metrics import Metrics, MetricsPage
from hexfusion.adapters.http.middleware import (
    SMALL_BODY,
    BodyLimit,
    Gzip,
    OnlyDeclaredMethods,
    Timing,
)
from hexfusion.adapters.http.resources import (
    actions,
    catalogues,
    extras,
    generation,
    health,
    interrogate,
    jobs,
    options,
    pictures,
    scripts,
    stopping,
    system,
    tasks,
    upscalers,
    v1_jobs,
    vaes,
)
from hexfusion.adapters.http.resources import extra_networks as networks
from hexfusion.adapters.http.resources import not_built as later
from hexfusion.adapters.http.resources.async_replies import JobRoute
from hexfusion.adapters.http.wire import lenient_json as wire
from hexfusion.application.catalogues.embeddings import EmbeddingLists
from hexfusion.application.describing.picture_info import PictureInfo
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.restart import MakeOrder
from hexfusion.application.pictures.base64_pictures import FetchFor
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.system.health import Health
from hexfusion.application.system.sysinfo import SysinfoReport
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.prompts import Style
from hexfusion.domain.scripts import Script
from hexfusion.domain.vaes import VaeFile

#: Default limit of a request body in bytes: enough for a dozen large pictures in base64.
MAX_BODY = 64 * 2**20


@dataclass(frozen=True)
class Services:
    """The use-cases that the routes call. All of them are thread-safe.

    Those that may wait for a place outside the queue get the caller's party.
    """

    txt2img: generation.PrepareTxt2Img
    img2img: generation.PrepareImg2Img
    board: JobBoard
    progress: jobs.ReadProgress
    task_progress: tasks.ReadTaskProgress
    pending_tasks: Callable[[str | None], Sequence[str]]
    interrupt: jobs.StopJob
    skip: jobs.StopJob
    png_info: Callable[[bytes], PictureInfo]
    fetch: FetchFor
    extras: extras.PrepareExtras
    interrogate: interrogate.PrepareInterrogation
    upscalers: upscalers.ListUpscalers
    face_restorers: Callable[[], Sequence[str]]
    read_options: Callable[[], Mapping[str, object]]
    change_options: Callable[[Mapping[str, object], str | None], None]
    checkpoints: Callable[[], Sequence[Checkpoint]]
    refresh_checkpoints: Callable[[str | None], None]
    vaes: Callable[[], Sequence[VaeFile]]
    refresh_vaes: Callable[[str | None], None]
    refresh_loras: Callable[[str | None], None]
    refresh_embeddings: Callable[[str | None], None]
    styles: Callable[[], Sequence[Style]]
    networks: NetworkCatalog
    embeddings: Callable[[], EmbeddingLists]
    scripts: Callable[[], Sequence[Script]]
    unload_checkpoint: Callable[[str | None], object]
    reload_checkpoint: Callable[[str | None], object]
    memory: Callable[[], Mapping[str, Any]]
    health: Callable[[], Health]
    metrics: Metrics
    cmd_flags: Callable[[], Mapping[str, Any]]
    about: Callable[[], Mapping[str, Any]]
    sysinfo: Callable[[], SysinfoReport]
    process: stopping.ProcessControl | None = None
    """Control of the process for clients; None closes the routes that stop the server."""


class Application(falcon.App[falcon.Request, falcon.Response]):
    """The WSGI application, which also tells a server how much of a body is worth reading."""

    def __init__(self, hosts: Hosts, cors: Cors, gate: Gate, bodies: BodyLimit) -> None:
        self._find = CompiledRouter()
        super().__init__(media_type=falcon.MEDIA_JSON, router=self._find)
        self._hosts, self._cors, self._gate, self._bodies = hosts, cors, gate, bodies

    def admit(self, environ: dict[str, Any]) -> int:
        """The longest body, in bytes, to be read for the request of this WSGI environment.

        To be called once the header of a request is complete, so that nobody reads a stranger's
        body. It answers nothing: the request is to be passed on, without its body where that is
        longer, and with what this method adds to the environment, and it will be refused then.
        """
        req = falcon.Request(environ, options=self.req_options)
        try:
            self._hosts.check(environ)
            self._cors.check(req)
        except (BadHost, UnknownHost, ForeignPage):
            return SMALL_BODY
        found = self._find.find(req.path, req=req)
        if found is None:
            return SMALL_BODY
        template = found[3] or ""
        if template not in OPEN:
            environ[ADMISSION] = admission = self._gate.ask(req)
            try:
                self._gate.check(admission, template, req.method)
            except (Denied, TooManyRequests, AdminsOnly):
                return SMALL_BODY
        return self._bodies.bound(req.method, template)


def create_app(
    services: Services,
    *,
    version: str = "0",
    max_body: int = MAX_BODY,
    max_values: int = wire.MAX_VALUES,
    gate: Gate | None = None,
    cors: Cors | None = None,
    hosts: Hosts | None = None,
    log: AccessLog | None = None,
    limits: Mapping[str, Any] | None = None,
    memory: BodyMemory | None = None,
    maxima: documents.Maxima | None = None,
) -> Application:
    """Create the WSGI application. `version` is that in the OpenAPI document.

    `max_body` is the limit of a request body in bytes, `max_values` that of the values in it.
    Without `gate` callers need no credentials; without `cors` pages of other sites may not call;
    without `hosts` any host name is answered to; without `log` requests are not logged. `limits`
    are those in the OpenAPI document, by flag, `maxima` those of its fields. `memory` bounds all
    bodies together.
    """
    hosts, cors, gate = hosts or Hosts(any_name=True), cors or Cors(), gate or Gate()
    bodies = BodyLimit(max_body, max_values)
    app = Application(hosts, cors, gate, bodies)
    app.add_middleware([log, services.metrics] if log else [services.metrics])
    app.add_middleware([HeadAsGet(), Timing(), HostCheck(hosts), cors, Gzip()])
    app.add_middleware([OnlyDeclaredMethods(), gate, bodies, memory or BodyMemory()])
    app.add_middleware(RefusalLog())  # the last, so that it sees every reply as it was made
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(falcon.HTTPError, errors.handle)
    app.add_error_handler(Exception, errors.handle)
    for path, resource in routes(services, version, limits, maxima).items():
        if resource is not None:
            app.add_route(path, resource)
    return app


def orders_by_route(use: Services) -> dict[str, MakeOrder]:
    """For every route that runs jobs, what makes an order of a stored request."""
    found = routes(use, "").items()
    return {path: each.again for path, each in found if isinstance(each, JobRoute)}


def routes(
    use: Services,
    version: str,
    limits: Mapping[str, Any] | None = None,
    maxima: documents.Maxima | None = None,
) -> dict[str, object]:
    """The resource of every path, None for a closed route. `documents.openapi` describes them."""
    return {
        "/sdapi/v1/txt2img": generation.TextToImage(use.txt2img, use.board),
        "/sdapi/v1/img2img": generation.ImageToImage(use.img2img, use.board, use.fetch),
        "/sdapi/v1/progress": jobs.Progress(use.progress, use.read_options),
        "/sdapi/v1/interrupt": jobs.Interrupt(use.interrupt),
        "/sdapi/v1/skip": jobs.Skip(use.skip),
        "/sdapi/v1/png-info": pictures.PngInfo(use.png_info, use.fetch),
        "/sdapi/v1/extra-single-image": extras.SingleImage(use.extras, use.board, use.fetch),
        "/sdapi/v1/extra-batch-images": extras.BatchImages(use.extras, use.board, use.fetch),
        "/sdapi/v1/interrogate": interrogate.Interrogate(use.interrogate, use.board, use.fetch),
        "/sdapi/v1/options": options.Options(use.read_options, use.change_options),
        "/sdapi/v1/samplers": catalogues.Samplers(),
        "/sdapi/v1/schedulers": catalogues.Schedulers(),
        "/sdapi/v1/sd-models": catalogues.Checkpoints(use.checkpoints),
        "/sdapi/v1/refresh-checkpoints": actions.Refresh(use.refresh_checkpoints),
        "/sdapi/v1/unload-checkpoint": actions.Act(use.unload_checkpoint),
        "/sdapi/v1/reload-checkpoint": actions.Act(use.reload_checkpoint),
        "/sdapi/v1/sd-vae": vaes.Vaes(use.vaes),
        "/sdapi/v1/sd-modules": vaes.Vaes(use.vaes),
        "/sdapi/v1/refresh-vae": actions.Refresh(use.refresh_vaes),
        "/sdapi/v1/upscalers": upscalers.Upscalers(use.upscalers),
        "/sdapi/v1/latent-upscale-modes": upscalers.LatentUpscaleModes(),
        "/sdapi/v1/face-restorers": upscalers.FaceRestorers(use.face_restorers),
        "/sdapi/v1/realesrgan-models": upscalers.RealEsrgan(use.upscalers),
        "/sdapi/v1/prompt-styles": catalogues.PromptStyles(use.styles),
        "/sdapi/v1/loras": networks.Loras(use.networks),
        "/sdapi/v1/refresh-loras": actions.Refresh(use.refresh_loras),
        "/sdapi/v1/hypernetworks": networks.Hypernetworks(use.networks),
        "/sdapi/v1/embeddings": networks.Embeddings(use.embeddings),
        "/sdapi/v1/refresh-embeddings": actions.Refresh(use.refresh_embeddings),
        "/sdapi/v1/create/embedding": later.NotYet("create/embedding", wire.as_object),
        "/sdapi/v1/create/hypernetwork": later.NotYet("create/hypernetwork", wire.as_object),
        "/sdapi/v1/train/embedding": later.NotYet("train/embedding", wire.as_object),
        "/sdapi/v1/train/hypernetwork": later.NotYet("train/hypernetwork", wire.as_object),
        "/sdapi/v1/scripts": scripts.Scripts(use.scripts),
        "/sdapi/v1/script-info": scripts.ScriptInfos(use.scripts),
        "/sdapi/v1/extensions": catalogues.Empty(),
        "/sdapi/v1/memory": system.Reading(use.memory),
        "/sdapi/v1/cmd-flags": system.Reading(use.cmd_flags),
        "/internal/progress": tasks.TaskProgress(use.task_progress, use.read_options),
        "/internal/pending-tasks": tasks.PendingTasks(use.pending_tasks),
        "/v1/jobs": v1_jobs.Jobs(use.board),
        "/v1/jobs/{id}": v1_jobs.OneJob(use.board),
        "/v1/jobs/{id}/events": v1_jobs.Events(use.board, use.read_options),
        "/sdapi/v1/version": system.Reading(use.about),
        "/sdapi/v1/server-stop": use.process and stopping.Stop(use.process),
        "/sdapi/v1/server-restart": use.process and stopping.Restart(use.process),
        "/sdapi/v1/server-kill": use.process and stopping.Kill(use.process),
        "/health/live": health.Live(),
        "/health/ready": health.Ready(use.health),
        "/metrics": MetricsPage(use.metrics),
        "/internal/ping": system.Ping(),
        "/internal/sysinfo": system.Sysinfo(use.sysinfo),
        "/internal/sysinfo-download": system.Sysinfo(use.sysinfo, attachment=True),
        "/docs": documents.Page("SWAGGER"),
        "/redoc": documents.Page("REDOC"),
        "/openapi.json": documents.OpenApi(version, dict(limits or {}), maxima),
    }
