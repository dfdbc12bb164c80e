"""What the recipe of a verification run says beside what every recipe says, and what it says where nothing is given."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from facelearn.tasks.settings import LossSettings, SplitSettings, TaskSettings

BackEndName = Literal["auto", "none", "whitening", "plda", "joint_bayes", "chi_square"]


BaselineName = Literal["pixels", "pca"]


class EmbeddingLossSettings(LossSettings):
    """Which loss shapes the embedding, and its options: see `losses.embedding_names`."""

    name: str = "cosine_softmax"


class WholePeopleSettings(SplitSettings):
    """People are held out whole: the `valid` ones choose (epoch, back end, threshold), the `test` ones are only measured."""

    by: Literal["auto", "person"] = "auto"
    test: float = Field(0.0, ge=0, lt=1, description="share of the people measured at the end")
    test_data: str | None = Field(
        None,
        description="instead, another data set of other people, measured at the end: a folder a person, or what else names them",
    )
    test_list: str | None = Field(
        None, description="a text file of the images of test_data, one path a line; without it, all"
    )
    test_jpeg: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (), description="JPEG qualities at which the test images are measured once more"
    )
    test_sizes: tuple[Annotated[int, Field(ge=4)], ...] = Field(
        (), description="sides in pixels that the test images are reduced to and measured once more"
    )
    train_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of the photos to train on that are used; smaller shares are parts of larger ones",
    )

    @model_validator(mode="after")
    def _people_to_train_on_are_left(self) -> Self:
        if self.test and self.test_data:
            raise ValueError("split.test and split.test_data both say who is measured; give one of them")
        if self.test_list and not self.test_data:
            raise ValueError("split.test_list is about split.test_data; give it too")
        if (self.test_jpeg or self.test_sizes) and not (self.test or self.test_data):
            raise ValueError(
                "split.test_jpeg and split.test_sizes are about the people of split.test or split.test_data; give one of them"
            )
        if self.valid + self.test >= 1:
            raise ValueError(
                f"split.valid and split.test hold out {self.valid + self.test:.0%} of the people; leave some to train on"
            )
        return self


class VerificationSettings(TaskSettings):
    """Embeddings: photos of one person near each other, those of different people apart, for people never seen in training too."""

    task: Literal["verification"] = "verification"
    loss: EmbeddingLossSettings = EmbeddingLossSettings()
    split: WholePeopleSettings = WholePeopleSettings()
    embedding: int | None = Field(
        None,
        ge=2,
        le=8192,
        description="numbers that a face becomes; by default as many as the network was published with",
    )
    images_per_person: int | None = Field(
        None,
        ge=0,
        description="a batch holds so many images of each of its people; 0 draws rows at random; None: 4 for losses that compare images, "
        "else 0",
    )
    synthetic_people: int = Field(
        0,
        ge=0,
        le=31,
        description="beside each person so many made-up ones, whose photos are the person's with the face reshaped in one way",
    )
    back_end: BackEndName = Field(
        "auto",
        description="how embeddings are compared: none (Euclidean distance on the unit sphere), whitening, plda, joint_bayes, chi_square "
        "(DeepFace's), or auto: what tells held-out people apart best",
    )
    baselines: tuple[BaselineName, ...] = Field(
        (),
        description="what needs no network and is measured beside it: pixels (grey, 32x32), pca (their principal components)",
    )

    @model_validator(mode="after")
    def _batches_are_whole_people(self) -> Self:
        images, rows = self.images_per_person, getattr(self, "batch_size", 0)  # of the recipe that these settings join
        if images and rows % images:
            raise ValueError(
                f"batch_size must be a multiple of images_per_person; received {rows} and {images}: take {max(1, rows // images) * images}"
            )
        return self


DEFAULTS: dict[str, Any] = {
    "model": {"name": "facelearn_embedding"},
    "read": {"framing": "tight"},
    "preprocess": ["grey", {"name": "resize", "size": 64}, "standardise_image"],
    "augment": {
        "shift": 0.08, "scale": [0.8, 1.25], "stretch": 0.08, "rotate": 15.0, "brightness": 0.2, "contrast": [0.6, 1.67],
        "gamma": [0.75, 1.33], "blur": 0.2, "blur_sigma": [0.4, 1.6], "noise": 0.2, "erasing": 0.5, "erasing_area": [0.02, 0.25],
    },
    "loss": {"name": "cosine_softmax", "options": {"scale": 16.0, "margin": 0.2}},
    "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.05},
    "epochs": 48,
    "synthetic_people": 1,
    "batch_size": 64,
    "keep": "best",
}  # fmt: skip
"""Over the recipe's own defaults."""
OF_ANOTHER_NETWORK: dict[str, Any] = {
    "preprocess": ["grey", {"name": "resize", "size": 112}, "standardise_image"],
    "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.05},
    "synthetic_people": 0,
}
"""Instead of these where another network is named: its input is larger, and it is trained as published."""
NEUTRAL: dict[str, Any] = {
    "embedding": (None,), "images_per_person": (None,), "synthetic_people": (0,), "back_end": ("auto",), "split.test": (0,),
    "split.test_data": (None, ""), "split.test_list": (None, ""), "split.test_jpeg": ((), []),
    "split.test_sizes": ((), []), "split.train_share": (1,), "baselines": ((), []),
}  # fmt: skip
"""Settings of this task alone, with the values that mean nothing elsewhere."""
