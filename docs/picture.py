"""Make docs/images/quickstart.png: synthetic held-out faces with the quickstart's predictions.

python docs/picture.py [runs/quickstart]
"""

from __future__ import annotations

import sys
from pathlib import Path

from facelearn.data.synthetic import synthetic_faces
from facelearn.prediction import Predictor
from facelearn.report.contact_sheet import contact_sheet

SEED = 7  # other people than the quickstart's


def main() -> None:
    """Draw the picture."""
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart")
    faces = synthetic_faces(36, color="rgb", seed=SEED)
    predicted = Predictor(run / "model.safetensors").predict(faces).points
    out = Path(__file__).parent / "images" / "quickstart.png"
    out.parent.mkdir(exist_ok=True)
    contact_sheet(faces, count=24, columns=8, prediction=predicted, path=out, side=144)
    print(out)


if __name__ == "__main__":
    main()
