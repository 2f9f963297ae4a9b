"""The command ``chainrule``: demo, fit, predict, evaluate, trace, report, inspect."""

import importlib.util
import sys

_NEEDED = ("typer", "rich", "pyarrow", "matplotlib", "jinja2")


def main() -> None:
    """Run the command line: 0 when all went well, 1 after an error, 2 after wrong usage, 130 after Ctrl-C."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        wanted = ", ".join(missing)
        sys.exit(
            f"error: the command line needs {wanted}: pip install 'chainrule[cli]' brings what it needs."
        )
    from chainrule.cli.app import app  # noqa: PLC0415 (its packages are an extra: first look whether they are there)

    app(prog_name="chainrule")
