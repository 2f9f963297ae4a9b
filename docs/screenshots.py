"""Take the pictures that the README shows: `python docs/screenshots.py SITE`, a built documentation site.

It needs Chromium, and Playwright of the extra "test". The pictures go to docs/images and are committed.
"""

import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

import chainrule as cr
from chainrule.report import write_trace

IMAGES = Path(__file__).parent / "images"
WIDE, NARROW = (1200, 900), (400, 900)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def trace_page(folder):
    """Write the page of a trace: a small network on the demo's table."""
    hours = pd.read_parquet(files("chainrule") / "data" / "bike_sharing_hour.parquet").sample(
        3000, random_state=0
    )
    inputs, rentals = hours.drop(columns="rentals"), hours["rentals"]
    model = cr.TabularRegressor(hidden=(12, 6), epochs=20, n_members=1, random_state=0)
    model.fit(inputs, rentals)
    path = folder / "trace.html"
    write_trace(path, cr.trace(model, inputs.iloc[17], rentals.iloc[17]))
    return path


def report_page(folder):
    """Write the report of the demo."""
    subprocess.run([sys.executable, "-m", "chainrule", "demo", "--out", folder], check=True)
    return folder / "chainrule-demo.html"


def few_colours(picture):
    """Return a picture with a palette: of the rare colours too, such as those of the lines."""
    return picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def photograph(browser, path, name, *, scroll="", before="", scheme="light"):
    """Take a wide and a narrow picture of a page, scrolled to an element."""
    for (width, height), ending in ((WIDE, ""), (NARROW, "-narrow")):
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto(Path(path).resolve().as_uri())
        page.wait_for_load_state("networkidle")
        if before:
            page.evaluate(before)
        if scroll:
            page.evaluate(f"document.querySelector({scroll!r}).scrollIntoView({{behavior: 'instant'}})")
        page.wait_for_timeout(500)  # formulas and transitions
        picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
        few_colours(picture).save(IMAGES / f"{name}{ending}.png", optimize=True)
        page.close()


def main(site):
    """Take all of them."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        step = "document.querySelectorAll('#chips button')[1].click()"
        photograph(browser, trace_page(folder), "trace-page", before=step)
        photograph(browser, report_page(folder), "report-page", scroll="#part-2")
        photograph(browser, Path(site) / "notes.html", "notes-page", scroll="#n6", scheme="dark")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
