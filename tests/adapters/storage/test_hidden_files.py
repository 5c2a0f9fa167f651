"""One rule for names that begin with a dot, whatever is looked for.

A file of such a name is never listed nor used: macOS writes `._model.safetensors` beside each file
that it copies to other file systems. A folder of such a name is searched as the reference does
(spec networks.md 1.1 and 1.6, images.md 9.1, option list_hidden_files).
"""

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import hexfusion
from hexfusion.adapters.storage.catalogues.checkpoints_files import FileCatalog
from hexfusion.adapters.storage.catalogues.extra_networks_files import FileNetworks
from hexfusion.adapters.storage.catalogues.hash_cache import HashCache
from hexfusion.adapters.storage.catalogues.vaes_files import FileVaes, VaeFolder
from hexfusion.adapters.storage.folders import files_below
from hexfusion.adapters.storage.settings.styles_files import FileStyles
from hexfusion.adapters.storage.settings.terms_files import FileTerms
from hexfusion.adapters.storage.starter import install_starter
from hexfusion.application.ports.upscale import UpscaleSettings
from tests.contracts.network_catalog import safetensors

#: What macOS writes there.
LITTER = b"\0\5\x16\7\0\2\0\0Mac OS X        "


def checkpoints(root: Path) -> Iterable[str]:
    return [each.name for each in FileCatalog([root], HashCache(root / "c.json")).checkpoints()]


def vaes(root: Path) -> Iterable[str]:
    folder = VaeFolder(root, among_checkpoints=False)
    return [each.name for each in FileVaes([folder], HashCache(root / "c.json")).vaes()]


def vaes_among_checkpoints(root: Path) -> Iterable[str]:
    folder = VaeFolder(root, among_checkpoints=True)
    return [each.name for each in FileVaes([folder], HashCache(root / "c.json")).vaes()]


def networks(root: Path) -> FileNetworks:
    cache = HashCache(root / "c.json")
    return FileNetworks(cache, loras=[root], embeddings=root, hypernetworks=root)


def loras(root: Path) -> Iterable[str]:
    return [each.name for each in networks(root).loras()]


def embeddings(root: Path) -> Iterable[str]:
    return [each.name for each in networks(root).embeddings()]


def hypernetworks(root: Path) -> Iterable[str]:
    return [each.name for each in networks(root).hypernetworks()]


def upscalers(root: Path) -> Iterable[str]:
    pytest.importorskip("torch")
    from hexfusion.adapters.gpu.torch_backend.upscale.catalogue import FAMILIES, Catalogue

    catalogue = Catalogue({FAMILIES[0].folder: [root]}, files_below)
    return [each.model.name for each in catalogue.sources(UpscaleSettings(enabled=()))]


def faces(root: Path) -> Iterable[str]:
    pytest.importorskip("torch")
    from hexfusion.adapters.gpu.torch_backend.faces.catalogue import FaceCatalogue
    from hexfusion.domain.faces import CODEFORMER, GFPGAN

    helpers = root.parent / "helpers"
    for name in ("detection_Resnet50_Final.pth", "parsing_parsenet.pth"):
        helpers.mkdir(exist_ok=True)
        (helpers / name).touch()
    folders = {CODEFORMER: [root], GFPGAN: [helpers]}
    catalogue = FaceCatalogue(folders, files_below)
    if CODEFORMER not in catalogue.usable():
        return []
    return [str(catalogue.find(CODEFORMER).network.relative_to(root))]


def words(root: Path) -> Iterable[str]:
    pytest.importorskip("torch")
    from hexfusion.adapters.gpu.torch_backend.interrogate.model_locations import ModelLocation

    found = ModelLocation(root, "published.pth", (".pth",)).find(files_below)
    return [str(found.relative_to(root))] if found else []


def styles(root: Path) -> Iterable[str]:
    return [each.name for each in FileStyles([root / "*.csv"]).styles()]


def terms(root: Path) -> Iterable[str]:
    return FileTerms(root).terms()


def starter(root: Path) -> Iterable[str]:
    """A checkpoint counts: then the starter is not installed."""
    place = root.parent / f"place for {root.name}"
    place.mkdir()
    return [] if install_starter([root, place]) else ["there"]


TENSORS = safetensors({"x": (1, 8)})
STYLE = b"name,prompt,negative_prompt\na,b,c\n"
#: Kind: (how its names are listed, a file's name, its content, whether dot folders are searched).
KINDS: dict[str, tuple[Callable[[Path], Iterable[str]], str, bytes, bool | None]] = {
    "checkpoints": (checkpoints, "a.safetensors", TENSORS, True),
    "VAEs": (vaes, "a.pt", b"x", False),
    "VAEs among checkpoints": (vaes_among_checkpoints, "a.vae.safetensors", TENSORS, False),
    "LoRAs": (loras, "a.safetensors", TENSORS, True),
    "embeddings": (embeddings, "a.safetensors", TENSORS, True),
    "hypernetworks": (hypernetworks, "a.pt", b"x", True),
    "upscalers": (upscalers, "a.pth", b"x", True),
    "face restorers": (faces, "a.pth", b"x", True),
    "interrogation": (words, "a.pth", b"x", True),
    "styles": (styles, "a.csv", STYLE, None),
    "terms": (terms, "a.txt", b"x", None),
    "the starter": (starter, "a.safetensors", b"x", True),
}
HIDDEN = ["._{}", ".{}", "..{}", "._.{}", ".~lock.{}#{}", ".DS_Store.{}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern", HIDDEN)
def test_a_hidden_file_is_passed_over(kind: str, pattern: str, tmp_path: Path) -> None:
    listed, name, content, _ = KINDS[kind]
    hidden, shown = tmp_path / "hidden", tmp_path / "shown"
    for root in (hidden, shown):
        root.mkdir()
        (root / pattern.format(name, name)).write_bytes(content)
    (shown / name).write_bytes(content)
    assert list(listed(hidden)) == []
    assert len(list(listed(shown))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_macos_leaves_beside_a_file_does_no_harm(kind: str, tmp_path: Path) -> None:
    listed, name, content, _ = KINDS[kind]
    root = tmp_path / "root"
    root.mkdir()
    (root / f"._{name}").write_bytes(LITTER)
    (root / name).write_bytes(content)
    assert len(list(listed(root))) == 1


@pytest.mark.parametrize("kind", [kind for kind, how in KINDS.items() if how[-1] is not None])
def test_hidden_folders(kind: str, tmp_path: Path) -> None:
    listed, name, content, searched = KINDS[kind]
    root = tmp_path / "root"
    (root / ".folder").mkdir(parents=True)
    (root / ".folder" / name).write_bytes(content)
    (root / ".folder" / f"._{name}").write_bytes(content)
    assert len(list(listed(root))) == searched


def test_option_list_hidden_files(tmp_path: Path) -> None:
    (tmp_path / ".folder").mkdir()
    for path in (".folder/a.ckpt", ".folder/.b.ckpt", "c.ckpt", "._c.ckpt"):
        (tmp_path / path).touch()
    catalog = FileCatalog([tmp_path], HashCache(tmp_path / "c.json"))
    assert [each.name for each in catalog.checkpoints()] == ["c.ckpt", ".folder/a.ckpt"]
    catalog.refresh(hidden=False)
    assert [each.name for each in catalog.checkpoints()] == ["c.ckpt"]


def test_a_hidden_file_that_the_operator_names_is_used(tmp_path: Path) -> None:
    """`--ckpt`, `--styles-file`: naming it is asking for it."""
    (tmp_path / ".mine.ckpt").touch()
    catalog = FileCatalog([], HashCache(tmp_path / "c.json"), selected=tmp_path / ".mine.ckpt")
    assert [each.name for each in catalog.checkpoints()] == [".mine.ckpt"]
    (tmp_path / ".mine.csv").write_bytes(STYLE)
    assert [each.name for each in FileStyles([tmp_path / ".mine.csv"]).styles()] == ["a"]


#: Who may list folders by other means: the rule's own place, and folders that the server writes.
OTHERS = {
    "adapters/http/serving/descriptors.py",
    "adapters/storage/folders.py",
    "adapters/storage/results/jobs_before_sqlite.py",
    "adapters/storage/results/jobs_sqlite.py",
    "adapters/storage/results/images_files.py",
}


def test_every_search_goes_through_the_rule() -> None:
    root = Path(hexfusion.__file__).parent
    walking = {"walk", "rglob", "glob", "iglob", "iterdir", "listdir", "scandir"}
    found = set()
    for package in ("domain", "application", "adapters"):
        for path in (root / package).rglob("*.py"):
            called = {
                node.func.attr
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            }
            if called & walking:
                found.add(path.relative_to(root).as_posix())
    assert {each for each in found if "torch_backend" not in each} <= OTHERS
