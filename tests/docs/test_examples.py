"""Every example in README.md and the pages of docs/ is executed.

The blocks of one page run in order, in one empty folder: ```python in one namespace, and of ```sh the
lines that start with "chainrule" (.ci/run runs those that install, and the demo).
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in path.parts
]
SLOW = {"README.md", "start.md"}  # they train on the whole table of the demo
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^chainrule (?!demo$)(.*)$", re.MULTILINE)


def blocks_of(page):
    """(language, line number, text) of each block that can be run."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        if block[1] == "python" or COMMAND.search(block[2]):
            yield block[1], text.count("\n", 0, block.start(2)), block[2]


def run_python(page, line, text, namespace):
    program = compile("\n" * line + text, str(page), "exec")  # a traceback shows the page's own line
    exec(program, namespace)


def run_shell(text):
    for command in COMMAND.finditer(text.replace("\\\n", " ")):
        run = [sys.executable, "-m", "chainrule", *shlex.split(command[1], comments=True)]
        done = subprocess.run(run, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{command[0]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in SLOW else [])
        for page in PAGES
        if any(blocks_of(page))
    ],
)
def test_the_examples_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for language, line, text in blocks_of(page):
        if language == "python":
            run_python(page, line, text, namespace)
        else:
            run_shell(text)
