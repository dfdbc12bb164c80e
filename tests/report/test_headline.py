from __future__ import annotations

import math

from facelearn.report.headline import Estimate, training_cost


def test_estimates_show_their_unit():
    share = Estimate(0.125, 0.1, math.nan, "share", 8, "points")
    assert (share.text, share.interval_text) == ("12.5%", "")
    assert Estimate(1.5, 1.25, 1.75, "px", 8, "points").text == "1.50 px"
    assert Estimate(1.5, 1.25, 1.75, "px", 8, "points").interval_text == "1.25 to 1.75"


def test_cost_comes_from_the_history(make_run):
    cost = training_cost(make_run(epochs=3))
    assert cost["epochs"] == 3
    assert cost["seconds"] == 15
    assert cost["images_per_second"] == 402
    assert math.isnan(cost["parameters"])
    assert all(math.isnan(value) for value in training_cost(make_run(epochs=0)).values())
