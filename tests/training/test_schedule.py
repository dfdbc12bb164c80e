import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.recipe.recipe import ScheduleSettings
from facelearn.training.schedule import averaging_decay, learning_rate


def test_constant_keeps_the_rate():
    settings = ScheduleSettings(name="constant")
    assert [learning_rate(settings, 0.3, step, 10) for step in range(10)] == [0.3] * 10


def test_cosine_falls_from_the_rate_to_its_final_share():
    settings = ScheduleSettings(name="cosine", final=0.1)
    rates = [learning_rate(settings, 2.0, step, 11) for step in range(11)]
    assert rates[0] == pytest.approx(2.0)
    assert rates[5] == pytest.approx((2.0 + 0.2) / 2)
    assert rates[10] == pytest.approx(0.2)


def test_one_cycle_rises_then_falls():
    settings = ScheduleSettings(name="one_cycle", warm_up=0.25, start=0.1, final=0.01)
    rates = [learning_rate(settings, 1.0, step, 101) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    top = rates.index(max(rates))
    assert abs(top - 0.25 * 101) <= 1
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


@given(
    st.sampled_from(["one_cycle", "cosine", "constant"]), st.integers(1, 1000), st.integers(0, 999), st.floats(0, 0.99)
)
def test_rate_is_positive_and_never_above_the_highest(name, steps, step, warm_up):
    settings = ScheduleSettings(name=name, warm_up=warm_up)
    rate = learning_rate(settings, 1e-3, step, steps)
    assert 0 < rate <= 1e-3 * (1 + 1e-9) and math.isfinite(rate)


def test_averaging_starts_short_and_reaches_the_decay():
    assert averaging_decay(0.999, 0) == pytest.approx(0.1)
    assert averaging_decay(0.999, 10**6) == 0.999
