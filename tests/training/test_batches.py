import numpy as np

from facelearn.training.batches import prepare
from facelearn.transforms.preprocess import Preprocess
from support.blobs import blob_faces


def test_images_that_no_step_changes_stay_where_they_are():
    images = blob_faces(20).images
    preprocess = Preprocess.from_steps(["grey", {"name": "resize", "size": 24}, "standardise_image"]).fit(images)
    assert prepare(images, preprocess) is images


def test_every_image_is_stretched_even_if_the_first_ones_need_it_not():
    images = blob_faces(20).images.copy()
    images[:8] = 0
    stretch = Preprocess.from_steps(["contrast_stretch"])
    result = prepare(images, stretch)
    np.testing.assert_array_equal(result, stretch.prepare(images))
    assert (result[8:] != images[8:]).any()


def test_large_prepared_images_go_to_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("facelearn.training.batches.RESIDENT_BYTES", 1000)
    images = blob_faces(20).images
    halved = Preprocess.from_steps([{"name": "resize", "size": 12}])
    result = prepare(images, halved, tmp_path / "scratch")
    assert isinstance(result, np.memmap) and (tmp_path / "scratch" / "prepared.npy").exists()
    np.testing.assert_array_equal(result, halved.prepare(images))
