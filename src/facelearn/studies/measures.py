"""What a study's table may show: the measures of keypoints and of identification by name, with their headings."""

from __future__ import annotations

_SCORES = {
    "recall_score": "recall",
    "binary_accuracy_score": "(TP+TN)/all",
    "precision_score": "precision",
    "bcr_score": "BCR",
    "aggregated_score": "aggregated",
    "aggregated_binary_score": "aggregated with (TP+TN)/all",
}
CLASS_MEASURES = {
    "train_cross_entropy_loss": "training loss, nats",
    "valid_cross_entropy_loss": "validation loss, nats",
    "cross_entropy_loss": "cross-entropy, nats",
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "balanced accuracy",
    "top3_score": "among the first 3",
    "top5_score": "among the first 5",
    "calibration_error": "calibration error",
    "many_score": "recall, people with many images",
    "medium_score": "recall, people with a medium number",
    "few_score": "recall, people with few images",
    **{f"average_{name}": f"{title}, average" for name, title in _SCORES.items()},
    **{f"median_{name}": f"{title}, median" for name, title in _SCORES.items()},
    "best5_aggregated_score": "aggregated, best five",
    "worst5_aggregated_score": "aggregated, worst five",
}
"""Measures of identification. The training and validation losses are what was trained on, weights and smoothing and all; every other
one is of the test rows: "cross-entropy" after calibration, averages and medians over people, groups of people by training images."""

MEASURES = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "best_valid_loss": "best validation loss",
    "normalised_valid_loss": "normalised validation loss",
    "rmse_error": "RMSE px",
    "robust_rmse_error": "RMSE px without far points",
    "point_failure_error": "failed points",
    "face_failure_error": "failed faces",
    "face_any_failure_error": "faces with a failed point",
    "unsteadiness": "unsteadiness of the curve",
    "epochs_to_reach": "epochs to reach it",
    "seconds_to_reach": "seconds to reach it",
    **CLASS_MEASURES,
}
"""What a study's table may show, and its heading. Losses of keypoints are mean squares in unit coordinates; with
`masked_mse_per_valid`, RMSE px = width / 2 * sqrt(loss), with `masked_mse_per_target` the square is that times the share of targets that
are present."""
