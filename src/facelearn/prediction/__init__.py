"""From a model file and images to points in the photos' own pixels, or to names. Loads torch only for `.safetensors` models."""

from facelearn.prediction.identifier import Identifier
from facelearn.prediction.predictor import Predictor
from facelearn.tasks.identification.answer import Identities
from facelearn.tasks.keypoints.answer import Predictions, submission_points

__all__ = ["Identifier", "Identities", "Predictions", "Predictor", "submission_points"]
