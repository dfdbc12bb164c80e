"""From a model file and images to points in the photos' own pixels, or to names. Loads torch only for `.safetensors` models."""

from facelearn.predict.identifier import Identifier
from facelearn.predict.identities import Identities
from facelearn.predict.predictions import Predictions, submission_points
from facelearn.predict.predictor import Predictor

__all__ = ["Identifier", "Identities", "Predictions", "Predictor", "submission_points"]
