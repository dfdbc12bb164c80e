"""From a model file and images to answers. Loads torch only for `.safetensors` models."""

from facelearn.prediction.open import Identifier, OpenModel, Predictor
from facelearn.tasks.identification.answer import Identities
from facelearn.tasks.keypoints.answer import Predictions, submission_points

__all__ = ["Identifier", "Identities", "OpenModel", "Predictions", "Predictor", "submission_points"]
