"""What was read from files and is kept: networks, vectors, encoded texts."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hexfusion.adapters.gpu.torch_backend.conditioning.text_encoder import TextEncoder
from hexfusion.adapters.gpu.torch_backend.decoding.small_decoders.store import SmallDecoders
from hexfusion.adapters.gpu.torch_backend.decoding.vae_files import VaeFiles
from hexfusion.adapters.gpu.torch_backend.extra_networks.store import NetworkStore
from hexfusion.adapters.gpu.torch_backend.families.sd1 import SD1
from hexfusion.adapters.gpu.torch_backend.files.safetensors_file import SafetensorsFile
from hexfusion.adapters.gpu.torch_backend.patches.embeddings import EmbeddingFiles
from hexfusion.adapters.gpu.torch_backend.upscale.spandrel_networks import library
from hexfusion.domain.extra_networks import Embedding
from hexfusion.domain.plan import HypernetworkPlan, LoraPlan, NetworksPlan, TextPlan
from hexfusion.domain.vaes import VaeFile
from tests.concurrency.guarded import Guard, LockContract, Scene

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


class Unet(nn.Module):
    device, dtype = CPU, torch.float32


class TestSafetensorsFileLocks(LockContract):
    guards = {SafetensorsFile: [Guard("_lock", touched=("_stream",))]}

    def play(self, scene: Scene) -> None:
        path = scene.folder / "a.safetensors"
        tensors = {str(number): torch.full((number + 1,), float(number)) for number in range(3)}
        save_file(tensors, path)
        file, read = scene[SafetensorsFile](path), {}

        def get(name: str) -> None:
            read[name] = file[name]

        scene.run(*(lambda name=name: get(name) for name in tensors))
        assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


class TestVaeFilesLocks(LockContract):
    guards = {VaeFiles: [Guard("_lock", touched=("_held",))]}

    def play(self, scene: Scene) -> None:
        loaded: list[str] = []

        def key(path, model) -> str:
            return path.name

        def load(path, *_):
            loaded.append(path.name)
            scene.stage.pause()
            return nn.Linear(2, 2, bias=False)

        gc = SimpleNamespace(collect=lambda: 0)
        cls = scene.given(VaeFiles, _key=key, load_vae=load, gc=gc)
        placing = SimpleNamespace(home=lambda family: CPU, settle_vae=lambda vae, family: None)
        files = cls(CPU, torch.float32, cached=lambda: 1, placing=placing)
        model = SimpleNamespace(family=SD1)

        def get(name: str) -> None:
            files.get(VaeFile(name=name, filename=name), model)

        scene.run(lambda: get("a"), lambda: get("a"), lambda: get("b"), files.size)
        assert (sorted(loaded), files.size()) == (["a", "b"], 32)
        scene.run(files.drop, lambda: get("a"))


class TestSmallDecodersLocks(LockContract):
    guards = {SmallDecoders: [Guard("_lock", touched=("_held", "_shipped"))]}

    def play(self, scene: Scene) -> None:
        (scene.folder / "VAE-taesd").mkdir()
        (scene.folder / "VAE-taesd/taesd_decoder.pth").write_bytes(b"x")
        built: list[object] = []

        def build(tensors: object, file: str, channels: int) -> nn.Module:
            scene.stage.pause()
            built.append(file)
            return nn.Linear(2, 2, bias=False)

        cls = scene.given(
            SmallDecoders,
            read_weights=lambda path, mmap: SimpleNamespace(tensors={}, file=path.name, metadata=1),
            latent_rgb_in=lambda metadata, channels: metadata,
            _BUILDERS={"decoder": build},
            build_approximation=build,
        )
        small = cls(scene.folder, CPU, torch.float32)
        sd1 = SimpleNamespace(latent_rgb=None, family=SD1, file="sd1")
        starter = SimpleNamespace(latent_rgb=1, family=SD1, file="starter")

        def decode() -> None:
            small.taesd(sd1, "decoder")

        def preview() -> None:
            small.approximation(starter)

        scene.run(decode, decode, preview, preview, small.size)
        assert (sorted(built), small.size()) == (["starter.safetensors", "taesd_decoder.pth"], 32)
        scene.run(small.drop, decode)


class TestEmbeddingFilesLocks(LockContract):
    guards = {EmbeddingFiles: [Guard("_lock", touched=("_held", "_bytes"))]}

    def play(self, scene: Scene) -> None:
        paths = [scene.folder / name for name in "ab"]
        for path in paths:
            path.write_bytes(b"x")
        read: list[str] = []

        def read_embedding(path):
            read.append(path.name)
            return {}

        files = scene.given(EmbeddingFiles, read_embedding=read_embedding)()
        scene.run(*(lambda path=path: files(str(path)) for path in (*paths, *paths)))
        assert sorted(read) == ["a", "b"]


class TestTextEncoderLocks(LockContract):
    guards = {TextEncoder: [Guard("_lock", touched=("_cache", "_cached"))]}

    def play(self, scene: Scene) -> None:
        cls = scene.given(
            TextEncoder,
            chunk_columns=lambda prompts, special: [prompts],
            current=lambda: None,
        )

        class Quick(cls):
            def _encode(self, prompts, clip_skip, emphasis):
                scene.stage.pause()
                return Texts(prompts)

        class Texts(list):
            size = 10

        encoder = Quick(SimpleNamespace(), SimpleNamespace(), cache_size=2)
        texts = TextPlan(positive=(), negative=())

        def encode(text: str) -> None:
            for _ in range(2):
                assert encoder.encode([text], texts, 1) == [text]

        scene.run(*(lambda text=text: encode(text) for text in "abca"))
        assert len(encoder._cache) == 2
        assert encoder._cached == 20


class TestNetworkStoreLocks(LockContract):
    guards = {
        NetworkStore: [
            Guard("_lock", touched=("_last", "_alive", "_hypernetworks")),
            Guard("_making", touched=("_last_vocabulary", "_layers")),
        ]
    }

    def play(self, scene: Scene) -> None:
        path = scene.folder / "a.safetensors"
        path.write_bytes(b"x")
        merged: list[object] = []

        class Merged:
            size, misfits = 12, {}

            def __init__(self, changes: object, spare: int) -> None:
                merged.append(changes)

        def read(path: object, layers: object, names: object) -> SimpleNamespace:
            found = {"x": (None, None)}
            return SimpleNamespace(layers=found, embeddings={}, incomplete=0, unmatched=())

        opened: list[object] = []

        def read_hypernetwork(path: object, device: object, dtype: object) -> object:
            scene.stage.pause()
            opened.append(path)
            return {1: (nn.Linear(1, 1), nn.Linear(1, 1))}

        cls = scene.given(
            NetworkStore,
            MergedWeights=Merged,
            read_lora=read,
            read_hypernetwork=read_hypernetwork,
            layers_of=lambda model: {"x": "layer"},
            layer_names=lambda unet, open_clip: None,
        )
        store = cls(spare=lambda unet: 0)
        text = SimpleNamespace(encoders=[SimpleNamespace(width=8)])
        architecture = SimpleNamespace(unet=None)
        model = SimpleNamespace(
            file="m", unet=Unet(), text=text, family=SD1, architecture=architecture
        )
        plan = NetworksPlan(
            loras=(LoraPlan(name="a", path=str(path)),),
            hypernetworks=(HypernetworkPlan(name="h", path=str(path)),),
            embeddings=(Embedding(name="e", path="e", width=8, vectors=1),),
        )
        had = []

        def add() -> None:
            had.append(store.additions(plan, model))

        scene.run(add, add, store.size)
        assert len(opened) == 1
        assert len(merged) == 1 and had[0].merged is had[1].merged
        assert had[0].vocabulary is had[1].vocabulary
        assert store.size() == 12 + 16
        scene.run(store.drop, add)


class TestLibraryLocks(LockContract):
    guards = {library: []}

    def play(self, scene: Scene) -> None:
        modules: dict[str, object] = {}

        def imported(name: str) -> object:
            scene.held(lock, "spandrel imported")
            return modules

        get = scene.given(
            library,
            _find=lambda: True,
            importlib=SimpleNamespace(import_module=imported),
            sys=SimpleNamespace(modules=modules),
        )
        lock = get.__globals__["_importing"]
        scene.run(lambda: get("a.pth"), lambda: get("b.pth"))
