"""What use-cases share: names of files, options being changed, pictures enlarged before."""

from PIL import Image

from hexfusion.adapters.storage.catalogues.checkpoints_memory import MemoryCatalog
from hexfusion.adapters.storage.results.images_memory import MemoryImages
from hexfusion.adapters.storage.settings.options_memory import MemoryOptions, SavedOptions
from hexfusion.application.catalogues.checkpoints import Models
from hexfusion.application.extras.upscale_step import Enlarged
from hexfusion.application.jobs.job import Job
from hexfusion.application.pictures.pixel_budget import PixelBudget
from hexfusion.application.saving.named_files import PictureFiles
from hexfusion.application.saving.save_images import SAMPLES
from hexfusion.application.system.options import ChangeOptions, UnusedOptions
from hexfusion.domain.filenames import DEFAULT_RULES
from hexfusion.domain.options import Options
from tests.concurrency.guarded import Guard, LockContract, Scene
from tests.domain.filenames.facts import facts


class TestPictureFilesLocks(LockContract):
    guards = {PictureFiles: [Guard("_naming", called=("_archive.names",))]}

    def play(self, scene: Scene) -> None:
        archive = MemoryImages()
        files = scene[PictureFiles](archive, DEFAULT_RULES)
        picture, paths = Image.new("RGB", (8, 8)), []

        def save() -> None:
            paths.append(files.save(picture, "a cat", SAMPLES, facts(), Options()))

        scene.run(save, save, save)
        numbers = sorted(path.rpartition("/")[2].partition("-")[0] for path in paths)
        assert numbers == ["00000", "00001", "00002"]


class TestChangeOptionsLocks(LockContract):
    guards = {
        ChangeOptions: [Guard("_turn", called=("_store.update",))],
    }

    def play(self, scene: Scene) -> None:
        """What a callback was told is what is stored: no other change comes between."""
        store, told = MemoryOptions(), []

        def hear(options: Options) -> None:
            scene.stage.pause()
            told.append((options.integer("jpeg_quality"), options.integer("n_rows")))

        change = scene[ChangeOptions](
            store,
            find_checkpoint=lambda name: None,
            on_change={"jpeg_quality": hear, "n_rows": hear},
        )
        scene.run(lambda: change({"jpeg_quality": 50}), lambda: change({"n_rows": 3}))
        assert told[-1] == (50, 3)


class TestMemoryOptionsLocks(LockContract):
    guards = {SavedOptions: [Guard("lock", written=("options",))], MemoryOptions: []}

    def play(self, scene: Scene) -> None:
        saved = scene[SavedOptions]()
        store, other = (scene[MemoryOptions](saved) for _ in range(2))
        scene.run(lambda: store.update({"jpeg_quality": 50}), lambda: other.update({"n_rows": 3}))
        assert store.snapshot().stored == {"jpeg_quality": 50, "n_rows": 3}


class TestEnlargedLocks(LockContract):
    guards = {Enlarged: [Guard("_lock", touched=("_pictures",), written=("_bytes",))]}

    def play(self, scene: Scene) -> None:
        cache, picture = scene[Enlarged](), Image.new("RGB", (8, 8))

        def use(key: int) -> None:
            for _ in range(2):
                if cache.get((key,)) is None:
                    cache.put((key,), picture, 2)

        scene.run(*(lambda key=key: use(key) for key in range(3)))
        assert sum(cache.get((key,)) is not None for key in range(3)) == 2
        assert cache.bytes == 2 * 8 * 8 * 4


class TestPixelBudgetLocks(LockContract):
    guards = {PixelBudget: [Guard("_changed", touched=("_held", "_line"))]}

    def play(self, scene: Scene) -> None:
        """Never more at once than may be, whoever comes and goes."""
        budget, at_once, most = scene[PixelBudget](decoded=100), [0], [0]

        def work() -> None:
            with budget.held(50, Job("img2img", lambda: 0.0)):
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
                scene.stage.pause()
                at_once[0] -= 1

        scene.run(work, work, work)
        assert most[0] <= 2


class TestModelsLocks(LockContract):
    guards = {Models: [Guard("_changing", written=("_unloaded", "_failed"))]}

    def play(self, scene: Scene) -> None:
        """What is noted last is what was done last."""
        did: list[str] = []

        class Host:
            def load(self, checkpoint, vae=None) -> None:
                scene.stage.pause()
                did.append("load")

            def unload(self) -> None:
                scene.stage.pause()
                did.append("unload")

        catalog = MemoryCatalog({"a.ckpt": b"a"})
        models = scene[Models](catalog, Host())
        scene.run(lambda: models.load(Options()), models.unload)
        assert models._unloaded is (did[-1] == "unload")


class TestUnusedOptionsLocks(LockContract):
    guards = {UnusedOptions: [Guard("_turn", touched=("_warned",))]}

    def play(self, scene: Scene) -> None:
        """However many set the same option, the log has it once."""
        lines: list[str] = []
        tell = scene[UnusedOptions](lines.append)
        stored = Options({"pin_memory": True})
        scene.run(*[lambda: tell(stored)] * 3)
        assert len(lines) == 1
        assert "pin_memory" in lines[0]
