"""The task keypoints: where the points of a face are, from labels with holes."""
