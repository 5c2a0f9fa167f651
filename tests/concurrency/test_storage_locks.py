"""What lies on disk or in memory, asked for and changed by many at once."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog
from hexfusion.adapters.storage.catalogues.checkpoints_memory import MemoryCatalog
from hexfusion.adapters.storage.catalogues.extra_networks_files import FileNetworks
from hexfusion.adapters.storage.catalogues.extra_networks_memory import MemoryNetworks
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.catalogues.vaes_files import FileVaes, VaeFolder
from hexfusion.adapters.storage.catalogues.vaes_memory import MemoryVaes
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.adapters.storage.results.jobs_memory import MemoryJobs
from hexfusion.adapters.storage.results.jobs_sqlite import SqliteJobs
from hexfusion.adapters.storage.settings.options_file import FileOptions
from hexfusion.application.ports.checkpoints import ModelCatalog
from hexfusion.application.ports.extra_networks import NetworkCatalog
from hexfusion.application.ports.jobs import BytesBody, JobStoreError
from hexfusion.application.ports.vaes import VaeCatalog
from hexfusion.domain.errors import NotFound
from tests.concurrency.guarded import Guard, LockContract, Scene
from tests.contracts.job_store import REQUEST, accepted, read, record
from tests.contracts.network_catalog import safetensors


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


CHECKPOINTS = {f"{name}.ckpt": name.encode() for name in "abc"}
VAES = {f"VAE/{name}.pt": name.encode() for name in "abc"}
NETWORKS = {
    **{f"Lora/{name}.safetensors": safetensors({}) + name.encode() for name in "abc"},
    "embeddings/d.safetensors": safetensors({"x": (1, 8)}),
}


def hash_checkpoints(scene: Scene, catalog: ModelCatalog) -> None:
    """No sum is lost to a refresh or to another sum."""

    def hash(name: str) -> None:
        catalog.hash(catalog.resolve(name))

    scene.run(*(lambda name=name: hash(name) for name in CHECKPOINTS), catalog.refresh)
    found = {each.name: each.sha256 for each in catalog.checkpoints()}
    assert found == {name: sha256(content) for name, content in CHECKPOINTS.items()}


def hash_vaes(scene: Scene, catalog: VaeCatalog) -> None:
    scene.run(
        *(lambda vae=vae: catalog.hash(vae) for vae in catalog.vaes()),
        catalog.refresh,
    )
    found = {each.name: each.sha256 for each in catalog.vaes()}
    assert found == {Path(name).name: sha256(content) for name, content in VAES.items()}


def hash_networks(scene: Scene, catalog: NetworkCatalog) -> None:
    """What is listed is whole, whoever lists it anew meanwhile."""
    before = [each.name for each in catalog.loras()]
    hashed: dict[str, str | None] = {}

    def hash(index: int) -> None:
        lora = catalog.hash_lora(catalog.loras()[index])
        hashed[lora.name] = lora.hash

    scene.run(
        *(lambda index=index: hash(index) for index in range(3)),
        catalog.refresh_loras,
        catalog.refresh_embeddings,
    )
    assert [each.name for each in catalog.loras()] == before == [*"abc"]
    assert hashed == {name: sha256(name.encode()) for name in "abc"}
    assert [each.name for each in catalog.embeddings()] == ["d"]


class TestFileCatalogLocks(LockContract):
    guards = {FileCatalog: [Guard("_lock", written=("_found",))]}

    def play(self, scene: Scene) -> None:
        folder = put(scene.folder / "models", CHECKPOINTS)
        hashes = HashCache(scene.folder / "cache.json")
        hash_checkpoints(scene, scene[FileCatalog]([folder], hashes))


class TestMemoryCatalogLocks(LockContract):
    guards = {MemoryCatalog: [Guard("_lock", touched=("_hashes",), written=("_found",))]}

    def play(self, scene: Scene) -> None:
        hash_checkpoints(scene, scene[MemoryCatalog](CHECKPOINTS))


class TestFileVaesLocks(LockContract):
    guards = {FileVaes: [Guard("_lock", written=("_found",))]}

    def play(self, scene: Scene) -> None:
        folder = put(scene.folder / "models", VAES)
        hashes = HashCache(scene.folder / "cache.json")
        hash_vaes(scene, scene[FileVaes]([VaeFolder(folder / "VAE")], hashes))


class TestMemoryVaesLocks(LockContract):
    guards = {MemoryVaes: [Guard("_lock", touched=("_hashes",), written=("_found",))]}

    def play(self, scene: Scene) -> None:
        hash_vaes(scene, scene[MemoryVaes](VAES))


class TestFileNetworksLocks(LockContract):
    guards = {FileNetworks: [Guard("_lock", written=("_loras", "_embeddings", "_embeddings_seen"))]}

    def play(self, scene: Scene) -> None:
        folder = put(scene.folder / "models", NETWORKS)
        catalog = scene[FileNetworks](
            HashCache(scene.folder / "cache.json"),
            loras=[folder / "Lora"],
            embeddings=folder / "embeddings",
            hypernetworks=folder / "hypernetworks",
        )
        hash_networks(scene, catalog)


class TestMemoryNetworksLocks(LockContract):
    guards = {MemoryNetworks: [Guard("_lock", written=("_loras", "_embeddings", "_seen"))]}

    def play(self, scene: Scene) -> None:
        hash_networks(scene, scene[MemoryNetworks](NETWORKS))


class TestFileOptionsLocks(LockContract):
    guards = {FileOptions: [Guard("_lock", touched=("_content",), written=("_options",))]}

    def play(self, scene: Scene) -> None:
        path = scene.folder / "config.json"
        store = scene[FileOptions](path)
        scene.run(
            lambda: store.update({"jpeg_quality": 50}),
            lambda: store.update({"n_rows": 3}),
            store.snapshot,
        )
        assert FileOptions(path).snapshot().stored == {"jpeg_quality": 50, "n_rows": 3}


class TestHashCacheLocks(LockContract):
    guards = {
        HashCache: [Guard("_lock", touched=("_content",)), Guard("_hashing", touched=("put",))]
    }

    def play(self, scene: Scene) -> None:
        folder = put(scene.folder / "models", {"a": b"a", "b": b"b"})
        cache = scene[HashCache](scene.folder / "cache.json")
        found = []

        def ask(name: str) -> Callable[[], None]:
            return lambda: found.append(cache.sha256(name, folder / name))

        scene.run(ask("a"), ask("b"), ask("a"), lambda: cache.get("a", 0.0, 0))
        assert sorted(found) == sorted(map(sha256, (b"a", b"b", b"a")))
        known = HashCache(scene.folder / "cache.json")
        for name in "ab":
            stat = (folder / name).stat()
            assert known.get(name, stat.st_mtime, stat.st_size) == sha256(name.encode())


class JobStoreLocks(LockContract):
    def make(self, scene: Scene):
        raise NotImplementedError

    def play(self, scene: Scene) -> None:
        store = self.make(scene)

        def keep(number: int) -> None:
            body = BytesBody(b"%d" % number)
            kept, job = record(str(number), size=len(body)), accepted(str(number))
            store.accept(job, REQUEST)
            store.note(accepted(str(number), begun=1))
            assert store.accepted(str(number), None).begun == 1
            assert store.request(job) == REQUEST
            store.put(kept, body)
            assert read(store, kept) == body
            if number:
                store.remove(kept)

        def look() -> None:
            store.find("1", None)
            store.records()
            store.unfinished()

        scene.run(*(lambda number=number: keep(number) for number in range(3)), look)
        assert [each.id for each in store.records()] == ["0"]
        assert list(store.unfinished()) == []

        def keep_while_it_lasts() -> None:
            with contextlib.suppress(JobStoreError):
                keep(1)

        scene.run(keep_while_it_lasts, store.close)


class TestSqliteJobsLocks(JobStoreLocks):
    guards = {
        SqliteJobs: [
            Guard("_lock", touched=("_rows",)),
            Guard("_writing", called=("_db.execute", "_db.close")),
        ]
    }

    def make(self, scene: Scene):
        return scene[SqliteJobs](scene.folder)


class TestMemoryJobsLocks(JobStoreLocks):
    guards = {MemoryJobs: [Guard("_lock", touched=("_kept",))]}

    def make(self, scene: Scene):
        return scene[MemoryJobs]()


class TestMemoryImagesLocks(LockContract):
    guards = {MemoryImages: [Guard("_lock", called=("files.__iter__", "files.__setitem__"))]}

    def play(self, scene: Scene) -> None:
        archive = scene[MemoryImages]()
        won = []

        def claim(number: int) -> None:
            try:
                archive.write("a/same.png", b"%d" % number, replace=False)
            except FileExistsError:
                return
            won.append(b"%d" % number)

        def look() -> None:
            assert set(archive.names("a")) <= {"same.png"}
            try:
                archive.read("a/same.png")
            except NotFound:
                return

        scene.run(lambda: claim(1), lambda: claim(2), look)
        assert won == [archive.read("a/same.png")]
