"""The page: HTML that is well-formed, refers to nothing outside, and says what there is to say."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import chainrule
from chainrule.report import Fit, evaluate, write_report
from chainrule.report.page import Drawing, Section, write_page
from chainrule.report.sections import calibration

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Strict(HTMLParser):
    """Fails where an element is not closed in its place; collects names, references and text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.text, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        self.ids += [named["id"]] if "id" in named else []
        self.references += [
            named[name] for name in ("href", "src", "action", "srcset", "data") if name in named
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(html):
    page = Strict()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


NASTY = "<script>alert('x')</script> & \"y\" $z$ {{ 7 * 7 }}"


def table_of(n_rows=90):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            NASTY: rng.normal(size=n_rows),
            "colour": rng.choice(["red", "<b>green</b>", "blue"], n_rows),
            "day": pd.date_range("2024-01-01", periods=n_rows),
            "same": 1.0,
            "gap": np.where(np.arange(n_rows) % 4, 1.5 * np.arange(n_rows), np.nan),
        }
    )


def fitted(task, linear=True):
    frame = table_of()
    rng = np.random.default_rng(1)
    kind = chainrule.TabularRegressor if task == "numbers" else chainrule.TabularClassifier
    target = {
        "numbers": frame[NASTY] * 2 + rng.normal(size=len(frame)),
        "two classes": np.where(frame[NASTY] > 0, "<i>yes</i>", "no"),
        "three classes": frame["colour"].to_numpy(),
        "many classes": np.arange(len(frame)) // 2,
    }[task]
    model = kind(hidden=(4,), epochs=3, random_state=0).fit(frame, target)
    return Fit(
        model,
        target=f"target {NASTY}",
        data="table.csv",
        n_train=len(frame),
        n_test=len(frame),
        split="Every row was used twice.",
        evaluation=evaluate(model, frame, target),
        linear=evaluate(kind(hidden=(), epochs=3, random_state=0).fit(frame, target), frame, target)
        if linear
        else None,
        command=f"chainrule fit '{NASTY}'",
        next_steps=(("chainrule predict <model>", "predict & see"),),
    )


@pytest.fixture(scope="module", params=["numbers", "two classes", "three classes", "many classes"])
def written(request, tmp_path_factory):
    fit = fitted(request.param)
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_report(path, fit)
    return fit, path.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_every_reference_stays_inside(written):
    page = parsed(written[1])
    assert len(page.ids) == len(set(page.ids))
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.references)
    html = written[1]
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    assert not {"script", "link", "img", "iframe", "object", "b", "i"} & set(page.tags)


def test_what_people_named_is_shown_as_they_wrote_it(written):
    html = written[1]
    text = " ".join(parsed(html).text)
    assert f"Predicting target {NASTY}" in text
    assert f"chainrule fit '{NASTY}'" in text
    assert "<b>green</b>" in text


def test_the_scores_of_both_models_are_there(written):
    fit, html = written
    cells = [text.strip() for text in parsed(html).text]
    for score in (*fit.evaluation.scores, *fit.linear.scores):
        assert score.name in cells
        assert score.with_interval() in cells


def test_every_section_and_drawing_that_belongs_to_the_task_is_there(written):
    fit, html = written
    headings = re.findall(r"<h[23][^>]*>([^<]*)</h[23]>", html)
    assert headings[0] == "At a glance"
    wanted = {
        "Scores",
        "Predictions",
        "Learning",
        "Learning curves",
        "Columns",
        "What to do next",
    }
    wanted |= {"To repeat it", "Versions", type(fit.model).__name__}
    n_classes = len(fit.evaluation.classes)
    wanted |= {"Reliability"} if n_classes else {"Predicted against actual", "Residuals"}
    wanted |= {"Confusion matrix"} if 0 < n_classes <= 30 else set()
    assert wanted <= set(headings)
    assert ("Confusion matrix" in headings) == (0 < n_classes <= 30)
    labels = re.findall(r'<div role="img" aria-label="([^"]+)"', html)
    assert len(labels) == html.count("<svg")
    assert all(len(label) > 20 for label in labels)


def test_the_columns_say_what_was_done_with_them(written):
    text = re.sub(r"\s+", " ", " ".join(parsed(written[1]).text))
    assert "same dropped left out: constant" in text
    assert "5 columns beside" in text
    assert "1 of them say nothing and were left out" in text
    assert "gap number (x − " in text
    assert "an input says where it is missing" in text
    assert "day datetime trend; time of year, day of week as sine and cosine" in text


def test_all_that_is_needed_to_repeat_the_fit_is_there(written):
    fit, html = written
    cells = [text.strip() for text in parsed(html).text]
    assert all(name in cells for name in fit.model.get_params())
    assert chainrule.__version__ in cells
    assert np.__version__ in cells


def test_a_fit_without_held_out_rows_has_a_page_without_scores(tmp_path):
    frame = table_of()
    model = chainrule.TabularRegressor(hidden=(), epochs=2, random_state=0).fit(frame, frame["gap"].fillna(0))
    fit = Fit(model, target="gap", data="table.csv", n_train=90, n_test=0, split="No rows were held out.")
    write_report(tmp_path / "page.html", fit)
    page = parsed((tmp_path / "page.html").read_text())
    text = " ".join(page.text)
    assert "No rows were held out." in text
    assert "Scores" not in text


def test_the_network_alone_has_its_scores(tmp_path):
    fit = fitted("two classes", linear=False)
    write_report(tmp_path / "page.html", fit)
    text = " ".join(parsed((tmp_path / "page.html").read_text()).text)
    assert "linear model" not in text
    assert all(score.with_interval() in text for score in fit.evaluation.scores)


def test_calibration_counts_every_row_once_and_in_its_tenth():
    fit = fitted("two classes")
    evaluation = fit.evaluation
    for probabilities in (evaluation.probabilities, np.array([[1.0, 0.0], [0.0, 1.0]] * 45)):
        bins, _, _ = calibration(evaluation, probabilities)
        assert sum(rows for _, _, rows in bins) == 90
        stated = sum(p * rows for p, _, rows in bins) / 90
        observed = sum(share * rows for _, share, rows in bins) / 90
        assert stated == pytest.approx(probabilities[:, 1].mean())
        assert observed == pytest.approx((evaluation.actual == 1).mean())
        assert len({min(int(10 * p), 9) for p, _, _ in bins}) == len(bins)


def test_a_long_table_is_folded(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 40)), columns=[f"x{i}" for i in range(40)])
    model = chainrule.TabularRegressor(hidden=(2,), epochs=1, random_state=0).fit(frame, frame["x0"])
    fit = Fit(model, target="y", data="wide.csv", n_train=40, n_test=0, split="No rows were held out.")
    write_report(tmp_path / "page.html", fit)
    html = (tmp_path / "page.html").read_text()
    parsed(html)
    assert "<summary>All 40 columns</summary>" in html


def test_only_a_drawing_goes_into_the_page_as_it_is(tmp_path):
    drawing = Drawing("<t>", "<svg><text>&lt;</text></svg>", "<d>", "<c>")
    write_page(tmp_path / "p.html", "<title>", "<lead>", [Section("<s>", ("<p>",), (drawing,))])
    page = parsed((tmp_path / "p.html").read_text())
    assert "svg" in page.tags
    assert not {"t", "d", "c", "lead", "s"} & set(page.tags)
