"""Each task's part of a study's page."""

from __future__ import annotations

from collections.abc import Mapping

from facelearn.tasks.identification import class_study
from facelearn.tasks.keypoints import point_study
from facelearn.tasks.study_numbers import StudyNumbers

BY_TASK: Mapping[str, StudyNumbers] = {"keypoints": point_study, "identification": class_study}
