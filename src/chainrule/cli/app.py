"""The commands, their options and their help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

import chainrule
from chainrule.cli import console
from chainrule.likelihoods import LIKELIHOODS
from chainrule.training import METRICS

TABLES = "CSV, TSV, Parquet or Feather, by the ending of the name"

app = typer.Typer(
    help="Multi-layer perceptrons for tables: learn a column from the others, predict it, and see how well.",
    epilog="Start with: chainrule demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:", *lines])


def _show_version(wanted: bool) -> None:
    if wanted:
        console.say(f"chainrule {chainrule.__version__}")
        raise typer.Exit


def _hidden_layers(text: str) -> tuple[int, ...]:
    if text.strip().lower() == "none":
        return ()
    try:
        sizes = tuple(int(size) for size in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(
            f"{text!r} must be sizes from 1 with commas between, such as 256,128, or none."
        )
    return sizes


@app.callback()
def chainrule_command(
    version: Annotated[  # noqa: ARG001 (its callback does the work)
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Take in the options that stand in front of the command."""
    console.settings.debug = debug


Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The model file.", show_default=False)]
Data = Annotated[Path, typer.Argument(metavar="DATA", help=f"The table: {TABLES}.", show_default=False)]


@app.command(epilog=_examples("chainrule demo", "chainrule demo --out somewhere"))
@console.command
def demo(
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the files go.", show_default="here")
    ] = Path(),
) -> None:
    """Learn how many bicycles are rented in an hour, and compare the network with the linear model.

    Writes chainrule-demo.safetensors (the model), chainrule-demo.html (a page about it) and
    chainrule-demo.csv (rows that it has not seen). Takes less than half a minute.
    """
    from chainrule.cli import fitting  # noqa: PLC0415 (heavy: help and version do without)

    fitting.demo(out)


@app.command(
    epilog=_examples(
        "chainrule fit houses.csv --target price",
        "chainrule fit visits.parquet --target bought --model bought.safetensors --time-limit 60",
        "chainrule fit claims.feather --target claims --likelihood poisson --exposure-column years",
        "chainrule fit patients.csv --target days --event-column died",
        "chainrule fit visits.csv --target bought --metric auc --group-column person --preset best",
    )
)
@console.command
def fit(
    data: Data,
    *,
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.", show_default=False)],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The model file to write.",
            show_default="DATA's name with .safetensors, here",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write.", show_default="the model's name with .html"),
    ] = None,
    task: Annotated[
        Literal["auto", "regression", "classification"],
        typer.Option(help="Whether to predict a number or a class; auto looks at the column."),
    ] = "auto",
    likelihood: Annotated[
        Literal["auto", *LIKELIHOODS],  # type: ignore[valid-type]  # their names, for typer to check
        typer.Option(metavar="NAME", help=f"What stands above the network: auto, {', '.join(LIKELIHOODS)}."),
    ] = "auto",
    offset_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What is added to the logits of each row.", show_default="none"),
    ] = None,
    exposure_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="How long, or for how many, each row was counted; the mean is a rate times it.",
            show_default="none",
        ),
    ] = None,
    event_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The target is a time, and 1 here says that the event came then, 0 that it was censored.",
            show_default="none",
        ),
    ] = None,
    weight_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="How much each row counts in the training; the scores count all the same.",
            show_default="none",
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Rows that have the same here, such as those of a person, are held out together.",
            show_default="none",
        ),
    ] = None,
    categorical: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of categories although it holds numbers; may be given several times.",
            show_default="found from the data",
        ),
    ] = None,
    preset: Annotated[
        Literal["fast", "default", "best"],
        typer.Option(help="About a quarter of the time, the default, or up to four times as long."),
    ] = "default",
    metric: Annotated[
        Literal[*METRICS] | None,  # type: ignore[valid-type]  # their names, for typer to check
        typer.Option(
            metavar="NAME",
            help=f"What says when to stop and which networks are worth most: {', '.join(METRICS)}.",
            show_default="the loss",
        ),
    ] = None,
    validation: Annotated[
        Literal["random", "last"],
        typer.Option(
            help="Which rows are held out, for the scores and to say when to stop; last: rows follow each "
            "other in time."
        ),
    ] = "random",
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(help="Let all classes count the same in total.", show_default="none"),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Units of each hidden layer, such as 256,128; none for the linear model.",
            show_default="as the recipe has it",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="How often to go through the rows at most.", show_default="as the recipe has it"
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.001, help="End each training after so long.", show_default="none"
        ),
    ] = None,
    test_fraction: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="The share of rows that is held out for the scores; 0 fits on all and scores none.",
        ),
    ] = 0.2,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Decides everything random: same seed, same model.")
    ] = 0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many threads to use; the result does not depend on it.", show_default="all cores"
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the scores only.")] = False,
) -> None:
    """Learn to predict a column of a table from the others.

    A fifth of the rows is held out. The scores on them stand beside those of the linear model. Writes
    the model file and a page about it. Ctrl-C ends the training early and keeps the best so far.
    """
    from chainrule.cli import fitting  # noqa: PLC0415 (heavy: help and version do without)

    model = model or Path(f"{data.stem}.safetensors")
    job = fitting.Job(
        data=data,
        target=target,
        model=model,
        html=html or model.with_suffix(".html"),
        task=task,
        likelihood=likelihood,
        offset_column=offset_column,
        exposure_column=exposure_column,
        event_column=event_column,
        weight_column=weight_column,
        group_column=group_column,
        categorical=tuple(categorical or ()),
        preset=preset,
        metric=metric,
        validation=validation,
        class_weight=class_weight,
        hidden=None if hidden is None else _hidden_layers(hidden),
        epochs=epochs,
        time_limit=time_limit,
        test_fraction=test_fraction,
        seed=seed,
        n_threads=threads,
        quiet=quiet,
    )
    fitting.fit(job)


@app.command(
    epilog=_examples(
        "chainrule predict houses.safetensors new.csv",
        "chainrule predict houses.safetensors new.parquet --out predictions.parquet --coverage 0.9",
    )
)
@console.command
def predict(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"Where the predictions go: {TABLES}.", show_default="CSV on stdout"
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Give an interval too, which holds the target with this probability, such as 0.9.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Predict the target for each row of a table, in its order.

    Columns are found by their names; others are ignored. For classes the probability of each comes too.
    """
    from chainrule.cli import applying  # noqa: PLC0415 (heavy: help and version do without)

    applying.predict(model, data, out, coverage)


@app.command(epilog=_examples("chainrule evaluate houses.safetensors test.csv"))
@console.command
def evaluate(model: Model, data: Data) -> None:
    """Score a model on rows whose target is known; the target has the name that it had at the fit."""
    from chainrule.cli import applying  # noqa: PLC0415 (heavy: help and version do without)

    applying.evaluate(model, data)


@app.command(
    epilog=_examples(
        "chainrule trace houses.safetensors test.csv --row 17",
        "chainrule trace houses.safetensors test.csv --row 17 --html trace.html",
    )
)
@console.command
def trace(
    model: Model,
    data: Data,
    *,
    row: Annotated[int, typer.Option(help="Which row of DATA, counted from 0.")] = 0,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page to write.", show_default="no page"),
    ] = None,
    member: Annotated[
        int, typer.Option(min=0, help="Which member of the model, counted from 0; most have several.")
    ] = 0,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="ETA", help="The length of the step of descent.", show_default="one that is short enough"
        ),
    ] = None,
) -> None:
    """Follow one row through the network and its error back: every quantity of the notes, N1 to N13.

    The target is found by the name that it had at the fit. The page (--html) shows it step by step, and
    lets you change inputs and take steps of descent.
    """
    from chainrule.cli import looking  # noqa: PLC0415 (heavy: help and version do without)

    looking.trace(model, data, row, html, member, learning_rate)


@app.command(epilog=_examples("chainrule report houses.safetensors test.csv --html report.html"))
@console.command
def report(
    model: Model,
    data: Data,
    *,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The page to write.", show_default="the model's name with -report.html"
        ),
    ] = None,
) -> None:
    """Write a page about a model and how it does on rows whose target is known.

    Its scores and errors on them, what it rests on, how it learned, the health of its network, its columns.
    """
    from chainrule.cli import looking  # noqa: PLC0415 (heavy: help and version do without)

    looking.report(model, data, html)


@app.command(epilog=_examples("chainrule inspect houses.safetensors"))
@console.command
def inspect(model: Model) -> None:
    """Say what is in a model file: its target, its columns, its network, and how it was fitted."""
    from chainrule.cli import looking  # noqa: PLC0415 (heavy: help and version do without)

    looking.inspect(model)
