"""The heat maps' own loss beside that of the points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from facelearn.data.synthetic import synthetic_faces
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints.learn import KeypointLearner

FACES = synthetic_faces(12, seed=2, size=48, missing="competition")
SMALL = {"widths": [8, 8, 8], "fusion_width": 8}


def gradients(
    weight: float, *, schemes: int = 1, name: str = "facelearn_keypoints", **settings
) -> tuple[float, Tensor]:
    """The loss of all faces and its gradient."""
    torch.manual_seed(0)
    options = {"schemes": schemes, **SMALL} if name == "facelearn_keypoints" else {}
    network = zoo.build(name, image_size=(48, 48), outputs=2 * len(FACES.schema), **options)
    recipe = Recipe().with_changes(loss__heat_map_weight=weight, **settings)
    learner = KeypointLearner(recipe, FACES, network, image_size=(48, 48), schemes=schemes)
    images = torch.from_numpy(FACES.images.astype(np.float32) / 255).permute(0, 3, 1, 2)
    targets = {
        "points": torch.tensor(FACES.keypoints),
        "scheme": torch.from_numpy(learner.targets(FACES)["scheme"]),
    }
    loss = learner(images, targets)
    loss.mean().backward()
    found = [one.grad.flatten() for one in network.parameters() if one.grad is not None]
    return float(loss.mean().detach()), torch.cat(found)


@pytest.mark.parametrize("schemes", [1, 2])
def test_the_heat_maps_teach_and_the_number_stays_the_points_loss(schemes):
    alone, of_points = gradients(0.0, schemes=schemes)
    both, with_maps = gradients(0.05, schemes=schemes)
    assert both == pytest.approx(alone, rel=1e-6)
    twice = gradients(0.1, schemes=schemes)[1]
    assert not torch.allclose(with_maps, of_points, rtol=1e-3)
    torch.testing.assert_close(twice - of_points, 2 * (with_maps - of_points), rtol=1e-3, atol=1e-5)


def test_a_network_without_heat_maps_learns_by_its_points_alone():
    alone, of_points = gradients(0.0, name="mlp")
    both, with_maps = gradients(0.05, name="mlp")
    assert both == alone and torch.equal(of_points, with_maps)


def test_a_keypoint_of_weight_zero_teaches_nothing_by_its_map_either():
    name = FACES.schema.names[3]
    rest = {other: 0.0 for other in FACES.schema.names if other != name}
    only = gradients(0.05, loss__keypoint_weights=rest)[1]
    none = gradients(0.05, loss__keypoint_weights=dict.fromkeys(FACES.schema.names, 0.0))[1]
    assert only.abs().max() > 0 and not none.any()
