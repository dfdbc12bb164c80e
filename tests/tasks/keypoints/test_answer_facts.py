"""What a model file says of its answers, where it is damaged or asked for what it does not have."""

from __future__ import annotations

import pytest

from facelearn.data.schema import FKD15
from facelearn.errors import BundleError, RecipeError
from facelearn.tasks.keypoints.answer import PointAnswering
from facelearn.tasks.task import AnswerFacts, Asked


@pytest.mark.parametrize("own", [3, -1, 2])
def test_a_file_that_returns_a_scheme_it_does_not_have_is_damaged(own):
    facts = AnswerFacts(FKD15, prediction={"schemes": ["complete", "partial"], "scheme": own})
    with pytest.raises(BundleError, match=rf"annotation scheme {own} is the one to return, of 2"):
        PointAnswering.from_facts(facts)
    assert PointAnswering.from_facts(facts, Asked(scheme="partial")).scheme == 1


def test_a_scheme_that_the_model_does_not_have_is_refused():
    with pytest.raises(RecipeError, match="no annotation scheme 'complete'; it has 0 'all'"):
        PointAnswering.from_facts(AnswerFacts(FKD15, prediction={}), Asked(scheme="complete"))
