"""Faces in generation: restore_faces and the options around it (spec images.md 7.2 and 11)."""

import io

import msgspec
import pytest
from PIL import Image, ImageChops

from hexfusion.adapters.gpu.faces_fake import FakeFaceRestorer
from hexfusion.application.inpainting.init_pictures import InitPictures
from hexfusion.application.pictures.picture_files import read_infotext
from hexfusion.domain.errors import NotFound, OptionError, Unsupported
from hexfusion.domain.faces import FaceRestoration
from hexfusion.domain.generation import Txt2Img
from hexfusion.domain.img2img import Img2Img
from tests.application.worlds import world


def small(**fields):
    return Txt2Img(
        **{"prompt": "a face", "steps": 2, "width": 64, "height": 64, "seed": 5} | fields
    )


def mended(picture, seed=5, **how):
    return FakeFaceRestorer().restore(picture, FaceRestoration(**how), seed=seed)


def only(result):
    (picture,) = result.pictures
    return picture


def test_faces_are_restored_if_the_request_says_so():
    """Recording fields/restore_faces: infotext and info name the option's model."""
    it = world()
    bare = only(it.txt2img(small()))
    result = it.txt2img(small(restore_faces=True))
    picture = only(result)
    assert picture.image.tobytes() == mended(bare.image).tobytes() != bare.image.tobytes()
    assert "Seed: 5, Face restoration: CodeFormer, Size: 64x64" in picture.infotext
    assert (result.info.restore_faces, result.info.face_restoration_model) == (True, "CodeFormer")
    result = it.txt2img(small())
    assert (result.info.restore_faces, result.info.face_restoration_model) == (False, None)
    assert "Face" not in only(result).infotext


@pytest.mark.parametrize(
    ("asked", "option", "done"), [(None, True, True), (None, False, False), (False, True, False)]
)
def test_null_leaves_it_to_the_option(asked, option, done):
    """Spec api.md 5.1."""
    it = world()
    overrides = {"face_restoration": option}
    result = it.txt2img(small(restore_faces=asked, override_settings=overrides))
    assert result.info.restore_faces is done
    assert ("Face restoration" in only(result).infotext) is done


def test_the_options_choose_model_and_weight():
    it = world()
    bare = only(it.txt2img(small())).image
    for overrides, how in (
        ({"face_restoration_model": "GFPGAN"}, {"model": "GFPGAN"}),
        ({"code_former_weight": 0.25}, {"weight": 0.25}),
        ({"code_former_weight": 1}, {"weight": 1.0}),
    ):
        result = it.txt2img(small(restore_faces=True, override_settings=overrides))
        assert only(result).image.tobytes() == mended(bare, **how).tobytes(), overrides
        assert result.info.face_restoration_model == how.get("model", "CodeFormer")


def test_each_picture_has_the_noise_of_its_own_seed():
    it = world()
    overrides = {"face_restoration_model": "GFPGAN"}
    fields = {"n_iter": 2, "batch_size": 2, "override_settings": overrides}
    bare = [each.image for each in it.txt2img(small(**fields)).pictures]
    made = [each.image for each in it.txt2img(small(restore_faces=True, **fields)).pictures]
    expected = [mended(each, seed, model="GFPGAN") for seed, each in enumerate(bare, 5)]
    assert [each.tobytes() for each in made] == [each.tobytes() for each in expected]


def test_infotext_makes_the_picture_again():
    """Spec prompts.md 8.7: the label turns the option on."""
    it = world()
    first = only(it.txt2img(small(restore_faces=True)))
    again = only(it.txt2img(Txt2Img(infotext=first.infotext)))
    assert again.image.tobytes() == first.image.tobytes()
    assert again.infotext == first.infotext


def test_a_restorer_that_is_not_there_is_an_error():
    """A1111 gives the picture as it was, and says its faces were restored (recording
    fields/restore_faces)."""
    it = world(faces=FakeFaceRestorer(["GFPGAN"]))
    with pytest.raises(Unsupported, match="CodeFormer needs a file") as caught:
        it.txt2img(small(restore_faces=True))
    assert caught.value.field == "restore_faces"
    with pytest.raises(Unsupported):
        it.img2img(Img2Img(restore_faces=True), InitPictures([Image.new("RGB", (64, 64))]))
    with pytest.raises(NotFound):
        it.txt2img(small(restore_faces=True, override_settings={"face_restoration_model": "None"}))
    with pytest.raises(OptionError) as bound:
        it.txt2img(small(restore_faces=True, override_settings={"code_former_weight": 1.5}))
    assert bound.value.key == "code_former_weight"
    assert it.jobs.last() is None  # told before anything was queued
    it.txt2img(small(override_settings={"face_restoration_model": "None"}))


def test_in_img2img_faces_come_before_paste_back():
    """Spec images.md 7.2: what the mask keeps is the original's, restored face or not."""
    it = world()
    original = Image.radial_gradient("L").resize((64, 64)).convert("RGB")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 64, 32))
    pictures = InitPictures([original], mask)
    request = Img2Img(steps=2, width=64, height=64, seed=5, mask_blur=0, inpainting_fill=1)
    bare = only(it.img2img(request, pictures)).image
    whole = msgspec.structs.replace(request, restore_faces=True)
    made = only(it.img2img(whole, pictures)).image
    changed = ImageChops.difference(bare, made).getbbox()
    assert changed is not None and changed[3] <= 32  # the lower half of the face was not asked for
    kept = (0, 33, 64, 64)
    assert made.crop(kept).tobytes() == original.crop(kept).tobytes()


def test_the_picture_before_is_saved_if_an_option_says_so():
    """Spec prompts.md 9.1: suffix -before-face-restoration, ahead of the picture itself."""
    it = world()
    bare = only(it.txt2img(small())).image
    overrides = {"save_images_before_face_restoration": True}
    fields = {"save_images": True, "override_settings": overrides}
    result = it.txt2img(small(restore_faces=True, **fields))
    before, after = result.files
    assert before.endswith("-before-face-restoration.png")
    assert not after.endswith("-before-face-restoration.png")
    saved = Image.open(io.BytesIO(it.archive.read(before)))
    assert saved.tobytes() == bare.tobytes()
    assert "Face restoration: CodeFormer" in read_infotext(saved)
    assert not any("before-face" in path for path in it.txt2img(small(**fields)).files)


def test_after_an_interrupt_faces_stay_as_they_are():
    class Interrupting(FakeFaceRestorer):
        asked = 0

        def restore(self, picture, how, **rest):
            self.asked += 1
            it.jobs.interrupt()
            return super().restore(picture, how, **rest)

    faces = Interrupting()
    it = world(faces=faces)
    result = it.txt2img(small(restore_faces=True, batch_size=3, n_iter=2))
    assert (len(result.pictures), faces.asked) == (3, 1)
