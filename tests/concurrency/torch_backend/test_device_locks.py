"""Whoever holds `turn` has the device: nothing computes there without it."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from hexfusion.adapters.gpu.parts import Files
from hexfusion.adapters.gpu.torch_backend.batch import Batch
from hexfusion.adapters.gpu.torch_backend.decoding.codec import Codec
from hexfusion.adapters.gpu.torch_backend.decoding.previews import Previews
from hexfusion.adapters.gpu.torch_backend.decoding.vae_copies import VaeCopies
from hexfusion.adapters.gpu.torch_backend.devices import ProcessThreads
from hexfusion.adapters.gpu.torch_backend.engine import TorchInference
from hexfusion.adapters.gpu.torch_backend.faces.restorer import TorchFaceRestorer
from hexfusion.adapters.gpu.torch_backend.faces.retinaface import RetinaFace
from hexfusion.adapters.gpu.torch_backend.families.sd1 import SD1
from hexfusion.adapters.gpu.torch_backend.interrogate.interrogator import TorchInterrogator
from hexfusion.adapters.gpu.torch_backend.parts import TorchParts
from hexfusion.adapters.gpu.torch_backend.precision import FULL
from hexfusion.adapters.gpu.torch_backend.residency.placement import Placement, Placing
from hexfusion.adapters.gpu.torch_backend.upscale.tiled import _call
from hexfusion.adapters.gpu.torch_backend.upscale.upscaler import TorchUpscaler
from hexfusion.adapters.storage.folders import files_below
from hexfusion.application.ports.inference import Sources, Verdict
from hexfusion.domain.checkpoints import Checkpoint
from hexfusion.domain.faces import CODEFORMER, FACE_RESTORERS, FaceRestoration
from hexfusion.domain.interrogation import TagScore
from hexfusion.domain.plan import PreviewPlan
from hexfusion.domain.upscalers import UpscaleSettings
from tests.concurrency.guarded import Guard, LockContract, Scene
from tests.contracts.inference import plan

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
FAMILIES = ("ESRGAN", "RealESRGAN", "DAT", "HAT", "SwinIR", "ScuNET")
TINY = Checkpoint(name="tiny", filename="/nowhere/tiny")
PICTURE = Image.new("RGB", (64, 64))
CALL = SimpleNamespace()


class Network:
    """Moved and called only by who has the device."""

    def __init__(self, scene: Scene, turn, gives=None) -> None:
        self._scene, self._turn, self._gives = scene, turn, gives

    def to(self, device) -> "Network":
        self._scene.held(self._turn, "a network moved")
        return self

    def parameters(self):
        return ()

    def __call__(self, *_):
        self._scene.held(self._turn, "a network called")
        return torch.zeros(1) if self._gives is None else self._gives


class TestInterrogatorLocks(LockContract):
    guards = {
        TorchInterrogator: [
            Guard(
                "_loading",
                called=tuple(
                    f"_held.{name}"
                    for name in (
                        *("get", "pop", "__getitem__", "__setitem__", "__delitem__"),
                        *("__contains__", "__iter__"),
                    )
                ),
            )
        ]
    }

    def play(self, scene: Scene) -> None:
        turn, loaded = scene.threading.Lock(), []
        file = scene.folder / "danbooru.pt"
        file.write_bytes(b"x")

        def load(*_) -> Network:
            loaded.append(1)
            network = Network(scene, turn)
            network.tags = ["cat"]
            return network

        def probabilities(network: Network, picture: Image.Image) -> list[float]:
            network()
            return [0.5]

        cls = scene.given(
            TorchInterrogator,
            danbooru=SimpleNamespace(
                Tagger=object, load_danbooru=load, probabilities=probabilities
            ),
            load_picture_book=lambda data, file: "book",
            look=lambda book, picture: book,
            caption_scene=lambda seen: f"a {seen}",
        )
        places = SimpleNamespace(
            blip=SimpleNamespace(find=lambda below: None),
            danbooru=SimpleNamespace(need=lambda below, what: file),
        )
        words = cls(places, lambda: b"", CPU, torch.float32, turn, files_below=None)

        def tag() -> None:
            (score,) = words.tags(PICTURE)
            assert score == TagScore("cat", 0.5)

        def caption() -> None:
            assert words.caption(PICTURE, None) == "a book"

        scene.run(tag, tag, caption, words.release)
        assert len(loaded) == 1
        scene.run(words.drop, words.size)
        scene.run(tag, words.drop, caption)


class TestUpscalerLocks(LockContract):
    guards = {TorchUpscaler: [Guard("_loading", written=("_held", "_size"))]}

    def play(self, scene: Scene) -> None:
        (scene.folder / "ESRGAN").mkdir()
        (scene.folder / "ESRGAN/mine.pth").write_bytes(b"x")
        loaded: list[str] = []

        def load(file) -> SimpleNamespace:
            loaded.append(file.name)
            return SimpleNamespace(
                module=Network(scene, None), on=lambda device, dtype: SimpleNamespace()
            )

        cls = scene.given(
            TorchUpscaler,
            load_network=load,
            upscale=lambda picture, factor, enlarge, stopped: picture,
        )
        upscaler = cls(
            {family: [scene.folder / family] for family in FAMILIES},
            CPU,
            torch.float32,
            scene.threading.Lock(),
            files_below=files_below,
            write=lambda path, data: None,
        )
        settings = UpscaleSettings()

        def enlarge() -> None:
            upscaler.upscale(PICTURE, 2.0, "mine", settings)

        scene.run(enlarge, enlarge)
        assert loaded == ["mine.pth"]
        scene.run(enlarge, upscaler.drop)


class TestTileLocks(LockContract):
    guards = {_call: []}

    def play(self, scene: Scene) -> None:
        turn = scene.threading.Lock()
        network = SimpleNamespace(run=Network(scene, turn), device=CPU, dtype=torch.float32)
        call = scene[_call]
        scene.run(*[lambda: call(network, torch.zeros(1, 3, 2, 2), turn)] * 2)


class TestFaceRestorerLocks(LockContract):
    guards = {
        TorchFaceRestorer: [
            Guard("_loading", called=("_held.get", "_held.__setitem__", "_held.clear"))
        ]
    }

    def play(self, scene: Scene) -> None:
        turn, built = scene.threading.Lock(), []
        files = {}
        for name in ("network", "detector", "parser"):
            files[name] = scene.folder / name
            files[name].write_bytes(b"x")

        def build(state: object, make: object) -> Network:
            built.append(make)
            found = (torch.zeros(1),) * 3 if make is RetinaFace else torch.zeros(1)
            return Network(scene, turn, found)

        def find(pixels, detect):
            detect(torch.zeros(1))
            return [SimpleNamespace(landmarks=None)]

        cls = scene.given(
            TorchFaceRestorer,
            build=build,
            read_face_tensors=lambda file: {},
            find_faces=find,
            alignment=lambda landmarks: "way",
            extract_face=lambda pixels, way: pixels,
            restored_face=lambda patch, restore: restore(torch.zeros(1)),
            face_share=lambda face, parse: parse(torch.zeros(1)),
            Patch=lambda *parts: parts,
            paste_faces=lambda pixels, patches: pixels,
        )
        catalogue = SimpleNamespace(find=lambda model: SimpleNamespace(**files))
        faces = cls(catalogue, dict.fromkeys(FACE_RESTORERS, CPU), turn)
        how = FaceRestoration(model=CODEFORMER, unload=True)
        scene.run(*[lambda: faces.restore(PICTURE, how)] * 2, faces.size)
        assert len(built) == 3
        scene.run(faces.drop)


class TestCodecLocks(LockContract):
    guards = {Codec: []}

    def play(self, scene: Scene) -> None:
        turn = scene.threading.Lock()
        network = Network(scene, turn, torch.zeros(1, 4, 8, 8))
        pictures = lambda *_, **__: network()  # noqa: E731
        codec = scene.given(
            Codec,
            Previews=lambda *_, **__: None,
            encode_pictures=pictures,
            encode=pictures,
            decode=pictures,
            to_pictures=lambda pixels: [PICTURE],
        )(plan(TINY), [], SimpleNamespace(), SimpleNamespace(retry=lambda dtype: None), turn)
        model = SimpleNamespace(autoencoder=SimpleNamespace(), vae=None, scale_factor=1.0)
        scene.run(
            lambda: codec.start(model, [PICTURE], (8, 8), torch.Generator()),
            lambda: codec.encode(model, [PICTURE], torch.Generator()),
            lambda: codec.decode(model, torch.zeros(1, 4, 8, 8)),
        )


class TestPreviewLocks(LockContract):
    guards = {Previews: []}

    def play(self, scene: Scene) -> None:
        turn = scene.threading.Lock()
        network = Network(scene, turn, torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
        small = SimpleNamespace(taesd=lambda model, part: network)
        cls = scene.given(
            Previews,
            decode=lambda *_, **__: network(),
            decode_small=lambda decoder, latents: decoder(),
        )
        model = SimpleNamespace(autoencoder=SimpleNamespace(), vae=None, scale_factor=1.0)
        scene.run(
            *(
                lambda method=method: cls(PreviewPlan(method=method), small, turn).picture(
                    model, torch.zeros(1, 4, 1, 1)
                )
                for method in ("Full", "TAESD")
            )
        )


class TestBatchLocks(LockContract):
    guards = {Batch: []}

    def play(self, scene: Scene) -> None:
        """Batches side by side; one checkpoint sees pictures beside the latent, the other none."""
        turn = scene.threading.Lock()
        network = Network(scene, turn)

        def computes(*_, **__) -> torch.Tensor:
            return network()

        class Adding:
            used, comments, names = (), (), ()

            def __init__(self, *_) -> None:
                network() if low_memory else None

            def __call__(self, *_):
                return nullcontext()

        def sampled(latent_model, settings, texts, *_) -> torch.Tensor:
            return latent_model.network(CALL)

        class Shown:
            edits, fact = False, None

            def __call__(self, picture: object) -> torch.Tensor:
                return network()

        low_memory = False
        cls = scene.given(
            Batch,
            Codec=lambda *_, **__: SimpleNamespace(
                decode=lambda *_: [PICTURE], retry=None, tweaks=None, at_work=lambda: turn
            ),
            JobAdditions=Adding,
            encode_texts=computes,
            answering=lambda unet: computes,
            append_channels=lambda channels: lambda call, answer: answer(call),
            noise_table=lambda *_, **__: None,
            sample_from_noise=sampled,
        )
        family = SimpleNamespace(
            family=SD1,
            image_input=None,
            embedder=None,
            text=None,
            unet=None,
            autoencoder=SimpleNamespace(),
            vae=None,
            alphas_cumprod=None,
            prediction="epsilon",
            scale_factor=1.0,
        )

        def batch(placement: Placement = Placement.WHOLE, **kind: object):
            placing = SimpleNamespace(
                of=lambda family: placement,
                slot=SimpleNamespace(clear=network),
            )
            return cls(
                plan(TINY),
                {TINY.filename: SimpleNamespace(**{**vars(family), **kind})},
                lambda *_: Verdict.CONTINUE,
                Sources([PICTURE]),
                device=CPU,
                turn=turn,
                networks=None,
                upscaler=None,
                small=None,
                copies=None,
                placing=placing,
            )

        scene.run(
            lambda: batch().render(),
            lambda: batch(image_input=Shown()).render(),
            lambda: batch(image_input=Shown()).render(),
        )
        low_memory = True
        scene.run(*[lambda: batch(Placement.NETWORKS).render()] * 2)


class TestOneTurnForAll(LockContract):
    """Those that make the lock hand it to all who compute on the device."""

    guards = {TorchInference: [], TorchParts: []}

    def play(self, scene: Scene) -> None:
        turns = []

        def takes(*given: object, **named: object):
            turns.extend(each for each in (*given, *named.values()) if hasattr(each, "locked"))
            return SimpleNamespace(render=lambda: None)

        engine = scene.given(TorchInference, CheckpointHandler=takes, Batch=takes)(CPU, FULL)
        engine._residency = SimpleNamespace(using=lambda *_: nullcontext([None]), free=lambda: 0)
        engine._with_vaes = lambda plan, loaded: {}
        scene.run(lambda: engine.render(plan(TINY), lambda *_: Verdict.CONTINUE))
        assert len(turns) == 2 and len({*map(id, turns)}) == 1

        turns.clear()
        made = ("TorchInference", "TorchUpscaler", "TorchFaceRestorer", "TorchInterrogator")
        flags = SimpleNamespace(
            threads=0,
            models_dir="models",
            model_vram=0,
            text=lambda name: "",
            integer=lambda name: 0,
            switch=lambda name: False,
            texts=lambda name: ["all"],
        )
        parts = scene.given(
            TorchParts,
            use_threads=lambda number: None,
            THREADS=SimpleNamespace(use=lambda number: None),
            choose_device=lambda *_, **__: CPU,
            choose_precision=lambda *_, **__: FULL,
            **dict.fromkeys(made, takes),
        )(flags, None, Files(*[lambda *_: None] * 3))
        assert all((parts.inference, parts.upscaler, parts.faces, parts.interrogator))
        assert len(turns) == 4 and len({*map(id, turns)}) == 1


class TestProcessThreadsLocks(LockContract):
    guards = {ProcessThreads: [Guard("_lock", touched=("_decided",))]}

    def play(self, scene: Scene) -> None:
        """The first one decides, for all."""
        counts = [8]

        def decide(count: int) -> None:
            scene.stage.pause()
            counts.append(count)

        torch = SimpleNamespace(set_num_threads=decide, get_num_threads=lambda: counts[-1])
        threads = scene.given(ProcessThreads, torch=torch)()
        scene.run(*(lambda count=count: threads.use(count) for count in (2, 3)))
        assert len(counts) == 2


class SmallVae(torch.nn.Module):
    """As much of a VAE as copying it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float16), requires_grad=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.weight.dtype


class TestVaeCopiesLocks(LockContract):
    guards = {
        VaeCopies: [
            Guard("_lock", called=("_held.get", "_held.clear", "_held.__setitem__", "_held.values"))
        ]
    }

    def play(self, scene: Scene) -> None:
        """Copies are made, counted and let go of side by side; each is whole."""
        copies = scene[VaeCopies](Placing(torch.device("cpu")))
        vaes = [SmallVae(), SmallVae()]
        made: list[SmallVae] = []

        def copy(vae: SmallVae) -> None:
            made.append(copies.of(vae, torch.float32))

        scene.run(*(lambda vae=vae: copy(vae) for vae in vaes), copies.size, copies.drop)
        assert [each.dtype for each in made] == [torch.float32] * 2
        assert [each.dtype for each in vaes] == [torch.float16] * 2
        assert copies.size() in (0, 12)
