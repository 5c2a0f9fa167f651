"""Spec images.md 9.1: a folder that a flag names is searched first, then the default."""

import pytest

from hexfusion.adapters.gpu.torch_backend.upscale.folders import upscaler_folders

pytestmark = pytest.mark.torch


def test_the_usual_folders(tmp_path):
    given = {"ESRGAN": tmp_path / "ESRGAN"}
    folders = upscaler_folders(tmp_path, given)
    assert folders == {"ESRGAN": [tmp_path / "ESRGAN"], "HAT": [tmp_path / "HAT"]}


def test_a_folder_of_ones_own_comes_first(tmp_path):
    own = tmp_path / "own"
    assert upscaler_folders(tmp_path, {"DAT": own})["DAT"] == [own, tmp_path / "DAT"]


def test_a_checkout_of_the_program(tmp_path):
    within = tmp_path / "Real-ESRGAN/experiments/pretrained_models"
    within.mkdir(parents=True)
    folders = upscaler_folders(tmp_path, {"RealESRGAN": tmp_path / "Real-ESRGAN"})
    assert folders["RealESRGAN"] == [within, tmp_path / "RealESRGAN"]
