"""The drawings: well-formed SVG in colours of the page, which refers to nothing outside."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from chainrule.report import figures

RNG = np.random.default_rng(0)
ACTUAL = RNG.normal(size=4000)
NAMES = ["$x_1$ & <b>", "漢字", "a very long name of a class, longer than there is room for"]


def names(n):
    return [f"{NAMES[k % 3]} {k}" for k in range(n)]


DRAWINGS = {
    "curves": lambda: figures.learning_curves(1 / np.arange(1.0, 31), 1.1 / np.arange(1.0, 31), 20),
    "curves, one epoch": lambda: figures.learning_curves(np.array([0.5]), np.array([0.6]), 1),
    "curves, no validation": lambda: figures.learning_curves(np.arange(3.0, 0, -1), None, None),
    "curves, below zero": lambda: figures.learning_curves(np.arange(3.0, -9, -1), None, None),
    "scatter": lambda: figures.predicted_against_actual(ACTUAL, ACTUAL + 0.1, NAMES[0]),
    "scatter, one row": lambda: figures.predicted_against_actual(ACTUAL[:1], ACTUAL[:1], NAMES[1]),
    "histogram": lambda: figures.residual_histogram(ACTUAL, NAMES[0]),
    "histogram, all the same": lambda: figures.residual_histogram(np.zeros(5), NAMES[2]),
    "matrix of 2": lambda: figures.confusion_matrix(np.array([[5, 1], [0, 0]]), names(2)),
    "matrix of 25": lambda: figures.confusion_matrix(np.eye(25, dtype=int), names(25)),
    "reliability": lambda: figures.reliability([(0.1, 0.2, 5), (0.9, 0.8, 50)], NAMES[0], NAMES[1]),
    "reliability, one bin": lambda: figures.reliability([(0.5, 0.5, 1)], "p", "share"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_well_formed_and_takes_its_colours_from_the_page(name):
    svg = DRAWINGS[name]()
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    # nothing in a colour of its own, which one of light and dark would hide
    assert not re.search(r"#[0-9a-fA-F]{6}\b", svg)
    assert "var(--first)" in svg
    assert "var(--ink)" in svg
    assert "http" not in svg
    defined = set(re.findall(r' id="([^"]+)"', svg))
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    assert referred <= defined


def test_two_drawings_in_one_page_do_not_share_names():
    one, other = (set(re.findall(r' id="([^"]+)"', DRAWINGS[name]())) for name in ("scatter", "histogram"))
    assert one
    assert other
    assert not one & other


def test_the_same_data_give_the_same_file():
    assert DRAWINGS["scatter"]() == DRAWINGS["scatter"]()


def test_many_rows_are_drawn_by_a_sample_that_is_part_of_them():
    svg = figures.predicted_against_actual(ACTUAL, ACTUAL, "y")
    points = re.findall(r'<use href="#[^"]+" x="([\d.]+)" y="([\d.]+)" style="fill: var\(--first\)', svg)
    assert len(points) == figures.MOST_POINTS
    x, y = np.array(points, dtype=float).T
    # prediction and truth agree, so that every point is on one falling line of the picture
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(-1, abs=1e-9)


def test_text_stays_text_and_names_stay_what_they_are():
    texts = [element.text for element in ET.fromstring(DRAWINGS["matrix of 2"]()).iter("text")]
    assert "$x_1$ & <b> 0" in texts
    assert "漢字 1" in texts
    assert {"predicted", "actual", "5", "1"} <= set(texts)


@pytest.mark.parametrize(("name", "most", "wanted"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, "")])
def test_shortened(name, most, wanted):
    assert figures.shortened(name, most) == wanted
