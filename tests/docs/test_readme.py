"""README is short, its links lead somewhere, and its figures are those of the page of measured figures."""

from __future__ import annotations

import re

from tests.architecture.house import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_read_in_three_minutes() -> None:
    assert len(TEXT.split()) < 700


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) > 15
    assert not [link for link in links if not link.startswith("http") and not (ROOT / link.split("#")[0]).exists()]


def test_set_up_is_two_commands() -> None:
    assert re.findall(r"^make \w+", TEXT, re.MULTILINE) == ["make quickstart", "make test"]


def test_the_figures_of_the_quickstart_are_those_that_were_measured() -> None:
    measured = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    ours = re.search(r"^\| `facelearn_keypoints`, default recipe .*\*\*(\d+\.\d+)\*\*", measured, re.MULTILINE)
    mean_face = re.search(r"^\| mean face \| \| (\d+\.\d+) \|", measured, re.MULTILINE)
    said = re.search(r"errs by\s+(\d+\.\d+) px where the mean face errs by (\d+\.\d+)", TEXT)
    assert ours and mean_face and said and said.groups() == (ours[1], mean_face[1])
