"""A browser for the pages, and tables and models to make pages of. Without a browser these tests skip."""

import shutil

import numpy as np
import pandas as pd
import pytest

import chainrule as cr

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=window.hacked=1>\"'&{{ 7*7 }}"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that is on the machine; nothing is installed."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright (of the extra test) is needed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser):
    """Open a file in a page whose errors and requests are recorded, and checked in the end."""
    contexts, errors, requests = [], [], []

    def open_file(path, width=1200, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_file
    assert errors == []
    assert all(url.startswith("file://") for url in requests)
    assert len(requests) == len(contexts)  # each page is one file
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def homes():
    """A table with a column of every kind, one of them with a hostile name and category."""
    rng = np.random.default_rng(0)
    n = 150
    return pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(100, 30, n)),
            "rooms": rng.integers(1, 9, n),
            HOSTILE: rng.choice([HOSTILE, "green", "blue"], n),
            "street": rng.choice([f"street {k}" for k in range(60)], n),
            "old": rng.random(n) < 0.4,
            "sold": rng.choice(["yes", "no", None], n, p=[0.4, 0.4, 0.2]),
            "day": pd.Timestamp("2019-12-30") + pd.to_timedelta(rng.integers(0, 800 * 24, n), "h"),
            "constant": 1,
        }
    )


@pytest.fixture(scope="session")
def price(homes):
    return (homes["size"].fillna(90) + 40 * homes["old"]).rename(f"price {HOSTILE}")


@pytest.fixture(scope="session")
def regressor(homes, price):
    return cr.TabularRegressor(hidden=(24, 6), epochs=3, random_state=0, n_members=1).fit(homes, price)


@pytest.fixture(scope="session")
def classifier(homes, price):
    labels = np.array(["cheap", HOSTILE, "dear", "mad"])[
        np.digitize(price, np.quantile(price, [0.3, 0.6, 0.8]))
    ]
    return cr.TabularClassifier(hidden=(5,), epochs=3, random_state=0, n_members=1).fit(homes, labels)
