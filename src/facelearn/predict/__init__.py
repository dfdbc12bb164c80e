"""From a model file and images to points in the photos' own pixels. Loads torch only for `.safetensors` models."""

from facelearn.predict.predictions import Predictions, submission_points
from facelearn.predict.predictor import Predictor

__all__ = ["Predictions", "Predictor", "submission_points"]
