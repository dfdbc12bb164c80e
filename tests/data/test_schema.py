from __future__ import annotations

import json

import numpy as np
import pytest

from facelearn.data.schema import (
    FKD15,
    IBUG68,
    KNOWN_SCHEMAS,
    NO_KEYPOINTS,
    KeypointSchema,
    schema_for_count,
    schema_for_names,
)
from facelearn.errors import DataError


@pytest.mark.parametrize("schema", KNOWN_SCHEMAS.values(), ids=lambda schema: schema.name)
def test_known_schemas_are_consistent(schema: KeypointSchema) -> None:
    mirror = schema.mirror_index
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(schema)))
    assert KeypointSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema_for_names(schema.names) == schema
    numbered = schema_for_count(len(schema))  # a number of keypoints says nothing about them
    assert not numbered.can_mirror and numbered.eyes == ((), ()) and not set(numbered.names) & set(schema.names)
    assert schema.can_mirror == (schema is not NO_KEYPOINTS)
    assert {mirror[i] for i in schema.eyes[0]} == set(schema.eyes[1])


@pytest.mark.parametrize("schema", [FKD15, IBUG68], ids=lambda schema: schema.name)
def test_left_names_mirror_right_names(schema: KeypointSchema) -> None:
    for a, b in schema.mirror:
        first, second = schema.names[a], schema.names[b]
        assert ("left" in first) == ("right" in second) and ("right" in first) == ("left" in second)


def test_a_new_schema_learns_from_its_names() -> None:
    schema = schema_for_names(["nose", "Left_Eye", "Right_Eye", "mouth_left", "mouth_right"])
    assert schema.name == "custom5" and schema.mirror == ((1, 2), (3, 4)) and schema.eyes == ((1,), (2,))
    plain = schema_for_count(7)
    assert plain.names[3] == "point_3" and not plain.can_mirror and plain.eyes == ((), ())


def test_what_makes_no_schema() -> None:
    with pytest.raises(DataError, match="a stand more than once"):
        KeypointSchema("x", ("a", "a"))
    with pytest.raises(DataError, match="refers to keypoint 2"):
        KeypointSchema("x", ("a", "b"), mirror=((0, 2),))
    with pytest.raises(DataError, match="two mirror images"):
        KeypointSchema("x", ("a", "b", "c"), mirror=((0, 1), (1, 2)))
