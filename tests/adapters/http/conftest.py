"""A tiny server inside: use-cases that answer at once and remember what they were asked."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from falcon import testing
from PIL import Image

from hexfusion.adapters.gpu.interrogator_fake import FakeInterrogator
from hexfusion.adapters.http.app import Services, create_app
from hexfusion.adapters.http.metrics import Metrics
from hexfusion.adapters.storage.catalogues.extra_networks_memory import MemoryNetworks
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.settings.terms_memory import MemoryTerms
from hexfusion.application.catalogues.embeddings import EmbeddingLists
from hexfusion.application.catalogues.upscalers import ListUpscalers
from hexfusion.application.describing.interrogate import Interrogate
from hexfusion.application.describing.picture_info import ReadPictureInfo
from hexfusion.application.extras.extras import ProcessExtras
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.jobs.board import JobBoard
from hexfusion.application.jobs.job import Job
from hexfusion.application.jobs.orders import PreparedJob
from hexfusion.application.jobs.progress import ProgressReport, ProgressState
from hexfusion.application.jobs.queue import JobQueue
from hexfusion.application.jobs.task_progress import ListPendingTasks, ReadTaskProgress
from hexfusion.application.pictures.receiving import decoded
from hexfusion.application.pictures.upscaling import PlainUpscaler
from hexfusion.application.planning.prefill import prefill
from hexfusion.application.results import Encoding, Generated, Picture
from hexfusion.application.scripts.listing import listed_scripts
from hexfusion.application.system.fetching import FetchPicture
from hexfusion.application.system.health import Health
from hexfusion.application.system.options import ChangeOptions, ReadOptions
from hexfusion.application.system.sysinfo import SysinfoReport
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.errors import InvalidRequest, NotFound
from hexfusion.domain.extra_networks import Embedding
from hexfusion.domain.generation import MAX_SEED, MIN_SEED, Info, Txt2Img
from hexfusion.domain.img2img import AnyRequest, Img2Img
from hexfusion.domain.options import Options
from hexfusion.domain.prompts import Style
from hexfusion.domain.sampling.names import resolve_request
from hexfusion.domain.sampling.samplers import SAMPLERS
from hexfusion.domain.vaes import VaeFile
from tests.contracts.network_catalog import safetensors

TINY = Checkpoint(
    name="tiny.safetensors",
    filename="<root>/models/Stable-diffusion/tiny.safetensors",
    sha256="ffed4e688ef04533524240aedae3312b5216429b50dbf328803ad10c9ace4d74",
    config="<root>/models/Stable-diffusion/tiny.yaml",
)
TINY_B = Checkpoint(
    name="tiny_b.safetensors",
    filename="<root>/models/Stable-diffusion/tiny_b.safetensors",
    config="<root>/models/Stable-diffusion/tiny_b.yaml",
)
STYLES = (
    Style("teststyle", "masterpiece, green", "ugly, bad"),
    Style("wrapstyle", "photo of {prompt}, 8k", ""),
)
OTHER_VAE = VaeFile(name="othervae.safetensors", filename="<root>/models/VAE/othervae.safetensors")
TINYTI = Embedding(name="tinyti", vectors=2, width=64, step=100)
WRONGDIM = Embedding(name="wrongdim", vectors=1, width=768)
NETWORKS = {
    "Lora/tinylora.safetensors": safetensors(
        {},
        ss_base_model_version="sd_v1-5",
        ss_tag_frequency='{"10_cat": {"cat": 10}}',
        ss_output_name="tiny lora",
    ),
    "hypernetworks/apihn2.pt": b"",
}


def idle() -> ProgressReport:
    return ProgressReport(progress=0.0, eta_relative=0.0, state=ProgressState())


class Directly:
    """Makes pictures by calling `make(request, given=..., abandoned=...)`."""

    def __init__(self, make: Callable[..., Generated]) -> None:
        self._make = make

    def prepare(
        self, request: AnyRequest, *pictures: InitPictures, given: Collection[str] | None = None
    ) -> PreparedJob[Generated]:
        return PreparedJob(
            lambda job: self._make(
                request, *pictures, given=given, abandoned=job.cancelled, job=job
            )
        )


@dataclass
class House:
    """What the use-cases of these tests share."""

    stored: Options = field(default_factory=Options)
    heard: list[tuple[Any, ...]] = field(default_factory=list)
    report: ProgressReport = field(default_factory=idle)
    queue: JobQueue = field(default_factory=partial(JobQueue, time.time, slots=50))
    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(default_factory=lambda: Health(ready=True, model="loaded", queue="open"))
    kept: MemoryJobs = field(default_factory=MemoryJobs)
    may_stop: bool = True
    restarts: bool = False
    on_txt2img: Callable[[Txt2Img, Callable[[], bool]], None] = lambda request, abandoned: None
    behind: Callable[[str], bytes] = lambda url: b""

    def snapshot(self) -> Options:
        return self.stored

    def update(self, changes: Mapping[str, object]) -> Options:
        self.stored = self.stored.updated(changes)
        return self.stored

    def txt2img(
        self,
        request: Txt2Img,
        *,
        given: Collection[str] | None,
        abandoned: Callable[[], bool],
        job: Job,
    ) -> Generated:
        self.on_txt2img(request, abandoned)
        request = prefill(request, self.stored, STYLES, (TINY, TINY_B), given)
        resolve_request(request.sampler_name, request.sampler_index, request.scheduler)
        if request.script_name:
            raise NotFound("script", request.script_name)
        if not MIN_SEED <= request.seed <= MAX_SEED:
            raise InvalidRequest("seed", "does not fit in 64 bits")
        self.stored.with_overrides(request.override_settings or {})
        count = request.batch_size * request.n_iter
        text = f"{request.prompt}\nSteps: {request.steps}"
        return Generated(
            pictures=tuple(
                Picture(Image.new("RGB", (8, 8), (number, 0, 0)), text) for number in range(count)
            ),
            request=request,
            info=info_of(request, [text] * count),
            job_id=job.id,
            encoding=Encoding(
                format=self.stored.text("samples_format"),
                quality=self.stored.integer("jpeg_quality"),
                embed=self.stored.flag("enable_pnginfo"),
            ),
        )

    def img2img(self, request: Img2Img, pictures: InitPictures, **_: Any) -> Generated:
        """The pictures themselves, the mask behind them."""
        self.heard.append(("img2img", request.denoising_strength))
        mask = [Picture(decoded(pictures.mask), None)] if pictures.mask else []
        return Generated(
            pictures=(*(Picture(decoded(each), "text") for each in pictures.images), *mask),
            request=request,
            info=info_of(request, ["text"] * len(pictures.images)),
            job_id="one",
            encoding=Encoding(format="png", quality=80, embed=True),
        )

    def progress(
        self, id: str | None, *, picture: bool, owner: str | None = None
    ) -> ProgressReport:
        self.heard.append(("progress", id, picture))
        if id == "nobody":
            raise NotFound("job", id)
        return self.report

    def interrupt(self, id: str | None, owner: str | None = None) -> None:
        self.heard.append(("interrupt", id))
        if id == "nobody":
            raise NotFound("job", id)

    def skip(self, id: str | None, owner: str | None = None) -> None:
        self.heard.append(("skip", id))

    def download(self, url: str, *, public_only: bool, user_agent: str) -> bytes:
        self.heard.append(("download", url, public_only, user_agent))
        return self.behind(url)

    def stop(self) -> None:
        self.heard.append(("stop",))

    def restart(self) -> bool:
        self.heard.append(("restart",))
        return self.restarts

    def kill(self) -> None:
        self.heard.append(("kill",))

    def find_checkpoint(self, name: str) -> Checkpoint:
        for each in (TINY, TINY_B):
            if name in (*each.aliases, "2168c9d19b" if each is TINY_B else each.title):
                return each
        raise NotFound("checkpoint", name)

    def services(self) -> Services:
        board = JobBoard(self.queue, self.kept, time.time)
        networks = MemoryNetworks(NETWORKS)
        return Services(
            txt2img=Directly(self.txt2img),
            img2img=Directly(self.img2img),
            board=board,
            progress=self.progress,
            task_progress=ReadTaskProgress(self.queue, self, board.finished),
            pending_tasks=ListPendingTasks(self.queue),
            interrupt=self.interrupt,
            skip=self.skip,
            png_info=ReadPictureInfo(self, styles=lambda: STYLES),
            fetch=FetchPicture(self.download, self),
            extras=ProcessExtras(PlainUpscaler(), self),
            interrogate=Interrogate(FakeInterrogator(), MemoryTerms(), self),
            upscalers=ListUpscalers(PlainUpscaler(), self),
            face_restorers=lambda: ["CodeFormer"],
            read_options=ReadOptions(self),
            change_options=ChangeOptions(self, find_checkpoint=self.find_checkpoint),
            checkpoints=lambda: [TINY, TINY_B],
            refresh_checkpoints=lambda party: self.heard.append(("refresh",)),
            vaes=lambda: [OTHER_VAE],
            refresh_vaes=lambda party: self.heard.append(("refresh vaes",)),
            styles=lambda: STYLES,
            memory=lambda: {
                "ram": {"free": 24354373632.0, "used": 922128384, "total": 25276502016.0},
                "cuda": {"error": "unavailable"},
            },
            health=lambda: self.health,
            metrics=self.metrics,
            cmd_flags=lambda: {"port": "7861", "nowebui": True, "use_cpu": []},
            networks=networks,
            refresh_loras=lambda party: networks.refresh_loras(),
            refresh_embeddings=lambda party: networks.refresh_embeddings(),
            embeddings=lambda: EmbeddingLists([TINYTI], [WRONGDIM]),
            scripts=lambda: listed_scripts(
                {
                    "checkpoints": [TINY.title, TINY_B.title],
                    "samplers": [each.name for each in SAMPLERS],
                    "upscalers": ["None"],
                },
                self.stored,
            ),
            unload_checkpoint=lambda party: self.heard.append(("unload",)),
            reload_checkpoint=lambda party: self.heard.append(("reload",)),
            about=lambda: {"app": "hexfusion", "version": "1.2.3", "a1111": "v1.10.1"},
            sysinfo=lambda: SysinfoReport('{"Platform": "none"}', "sysinfo-2026-11-22-12-00.json"),
            process=self if self.may_stop else None,
        )


def info_of(request: AnyRequest, infotexts: list[str]) -> Info:
    count = len(infotexts)
    return Info(
        prompt=request.prompt,
        all_prompts=[request.prompt] * count,
        negative_prompt=request.negative_prompt,
        all_negative_prompts=[request.negative_prompt] * count,
        seed=1,
        all_seeds=[1 + number for number in range(count)],
        subseed=2,
        all_subseeds=[2 + number for number in range(count)],
        subseed_strength=request.subseed_strength,
        width=request.width,
        height=request.height,
        sampler_name="Euler",
        cfg_scale=request.cfg_scale,
        steps=request.steps,
        batch_size=request.batch_size,
        restore_faces=False,
        face_restoration_model=None,
        sd_model_name="tiny",
        sd_model_hash="ffed4e688e",
        sd_vae_name=None,
        sd_vae_hash=None,
        seed_resize_from_w=-1,
        seed_resize_from_h=-1,
        denoising_strength=None,
        extra_generation_params={},
        index_of_first_image=0,
        infotexts=infotexts,
        styles=[],
        job_timestamp="20261122054522",
        clip_skip=1,
        is_using_inpainting_conditioning=False,
        version="v1.10.1",
    )


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(house: House) -> testing.TestClient:
    return testing.TestClient(create_app(house.services(), version="1.2.3", max_body=100_000))


@pytest.fixture
def broken(house: House) -> Callable[[Exception], testing.TestClient]:
    """A client of a server whose txt2img raises that error."""

    def make(error: Exception) -> testing.TestClient:
        def fail(request: Txt2Img, **_: object) -> Generated:
            raise error

        return testing.TestClient(create_app(replace(house.services(), txt2img=Directly(fail))))

    return make
