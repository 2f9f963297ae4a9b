"""Which lines of code compute which equation of the notes, and the notes with links to them.

A line computes an equation if its comment, or its function's docstring, begins with the number: ``# N1``.
"""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("architecture", "likelihoods", "optimization", "engine", "tables", "estimators")
NUMBER = re.compile(r"\bN([1-9]\d?)\b")
MARK = re.compile(r'(?:"""|# |// )(N\d+(?:(?:, | and )N\d+)*)\b(?! to N)')
EQUATION = re.compile(r"^\(n(\d+)\)=\n.*?^(?=\([\w-]+\)=$|#)", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"In code: .*?(?=\n\n|\Z)", re.DOTALL)


def lines_of_equations():
    """Return number → {file, relative to the repository: [lines]}, each in order."""
    package = ROOT / "src" / "chainrule"
    paths = [path for folder in FOLDERS for path in sorted((package / folder).glob("*.py"))]
    found = defaultdict(lambda: defaultdict(list))
    for path in (*paths, *sorted((ROOT / "native").glob("*.hpp"))):
        file = path.relative_to(ROOT).as_posix()
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            of_module = (
                line == 1 and path.suffix == ".py"
            )  # says what the file is about, and computes nothing
            for mark in () if of_module else MARK.finditer(text):
                for number in NUMBER.findall(mark[1]):
                    found[int(number)][file].append(line)
    return found


def with_links_to_lines(notes):
    """Return the notes with the role `code-line` for each line, behind what is said of an equation's code."""
    lines_of = lines_of_equations()

    def with_lines(equation):
        said = "; ".join(
            f"`{Path(file).name}` " + ", ".join(f"{{code-line}}`{file}:{line}`" for line in lines)
            for file, lines in lines_of[int(equation[1])].items()
        )
        return NAMED.sub(lambda named: f"{named[0]} Line by line: {said}.", equation[0], count=1)

    return EQUATION.sub(with_lines, notes)
