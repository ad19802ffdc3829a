"""Flags of ``gatewatch train``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.log_flags import labels_option

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
"""Names that a manifest may hold."""
CONTAMINATION, MOST_CONTAMINATION = 0.01, 0.1
"""Share of unlabelled sessions that is taken to be hidden attacks unless told otherwise, and at most."""
DESCRIPTIONS = {True: "Call logs with labelled attacks.", False: "Call logs without labels."}
"""What calls with and without labels are called unless told otherwise."""
TOPICS_DESCRIPTION = "Sessions of live traffic, some of them labelled."
"""What the sessions of --topics are called unless told otherwise."""


class ModelKind(StrEnum):
    """Kinds of trees."""

    HGBT = "hgbt"
    CATBOOST = "catboost"
    ISOLATION_FOREST = "isolation-forest"


class RecipeName(StrEnum):
    """Recipes that need no files."""

    ACCESS_BEHAVIOUR = "access-behaviour"


RecipeFlag = Annotated[
    RecipeName | None,
    typer.Option("--recipe", help="Train from the public table that ships with gatewatch.", show_default=False),
]
CallsFlag = Annotated[
    list[Path] | None,
    typer.Option(
        "--calls",
        metavar="FILE",
        help="Train from this gateway log; may be repeated, the oldest first.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
TopicsFlag = Annotated[
    bool,
    typer.Option(
        "--topics",
        help="Train from Kafka: the sessions on the topic features, and what people said of some on the topic labels.",
    ),
]
LabelWeightFlag = Annotated[
    float | None,
    typer.Option(
        "--label-weight",
        metavar="N",
        min=0.001,
        max=1000.0,
        help="With --topics: what a labelled session counts, beside 1 for one that is not. [default: 5]",
        show_default=False,
    ),
]
LabelsFlag = Annotated[Path | None, labels_option("Without it attacks are woven into the calls.")]
OutFlag = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Folder or .zip to write. [default: the model's name]", show_default=False
    ),
]
NameFlag = Annotated[str, typer.Option("--name", help="Name of a model of --calls or --topics.")]
SeedFlag = Annotated[int, typer.Option("--seed", min=0, help="The same data and seed give the same model.")]
ModelFlag = Annotated[
    ModelKind,
    typer.Option(
        "--model",
        help="Kind of trees. catboost needs the extra of that name, for training only; isolation-forest learns "
        "from benign sessions alone.",
    ),
]
SearchFlag = Annotated[
    int,
    typer.Option(
        "--search",
        metavar="N",
        min=1,
        help="Choose among N recipes by cross-validation inside the training rows; takes about N times as long.",
    ),
]
EstimatorFlag = Annotated[
    bool, typer.Option("--with-estimator", help="Add the estimator that the trees are of, for data scientists.")
]
BudgetFlag = Annotated[
    float | None,
    typer.Option(
        "--false-alerts",
        metavar="N",
        min=0.0,
        max=1000.0,
        help="With --calls or --topics: benign sessions in 1,000 that may raise an alert, early or at their end. "
        "[default: 1]",
        show_default=False,
    ),
]
DayFlag = Annotated[
    float | None,
    typer.Option(
        "--false-alerts-per-day",
        metavar="N",
        min=0.0,
        help="Instead of --false-alerts: benign sessions a day that may raise an alert. It becomes a budget in 1,000 "
        "by how many benign sessions a day there are in the input: give whole days.",
        show_default=False,
    ),
]
ContaminationFlag = Annotated[
    float | None,
    typer.Option(
        "--contamination",
        metavar="SHARE",
        min=0.0,
        max=MOST_CONTAMINATION,
        help="Without --labels: leave out at most this share of the sessions, those that look like hidden attacks. "
        f"[default: {CONTAMINATION}]",
        show_default=False,
    ),
]
DescriptionFlag = Annotated[
    str | None,
    typer.Option(
        "--description",
        help="What the calls are, for the model's card. [default: that they are logs or live traffic, and what is "
        "labelled of them]",
        show_default=False,
    ),
]
LicenceFlag = Annotated[str, typer.Option("--licence", help="Licence of the calls, an SPDX expression.")]
MlflowFlag = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Record the run at this MLflow server, and register the bundle there; needs the extra mlflow.",
        show_default=False,
    ),
]
CacheFlag = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Folder of your own in which what each stage makes is kept, so that a repeated or interrupted run redoes "
        "only what changed. [default: ~/.cache/gatewatch/train]",
        show_default=False,
        file_okay=False,
    ),
]
NoCacheFlag = Annotated[bool, typer.Option("--no-cache", help="Make every stage anew and keep nothing.")]
