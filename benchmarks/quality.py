"""``python -m benchmarks.quality``: tasks as ``task new`` drafts them, run untouched, beside packages used by hand.

Each table is divided at random: four rows of five are the labelled file, the fifth is predicted. By hand, a package
gets the same four fifths with its own defaults, and no stopping rows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import report

Kind = Literal["binary", "multiclass", "regression"]

TOLERANCE = 0.01
_COMMAND = str(Path(sys.executable).with_name("pipeline-assets"))
_ROW = "row_of_table"  # a column of both files, by which a prediction finds its label again


@dataclass(frozen=True)
class Table:
    """A labelled table.

    Attributes:
        frame: its columns, the target among them.
        target: the column to learn.
    """

    name: str
    kind: Kind
    frame: pd.DataFrame
    target: str

    def sample(self, rows: int) -> "Table":
        """At most so many rows of it, always the same ones."""
        return self if len(self.frame) <= rows else replace(self, frame=self.frame.sample(rows, random_state=0))


@dataclass(frozen=True)
class Quality:
    """The loss on the rows that were predicted: log loss, or for ``regression`` the root of the mean squared error.

    Attributes:
        ours: of the drafted task.
        rivals: of each package by hand.
        constant: of the training rows' shares or mean.
        seconds: that training and predicting took, by contender.
    """

    ours: float
    rivals: Mapping[str, float]
    constant: float
    seconds: Mapping[str, float]

    def worse_than(self, rival: str) -> float:
        """By which share our loss is above a rival's; negative if it is below."""
        return self.ours / self.rivals[rival] - 1


def tables() -> dict[str, Callable[[], Table]]:
    """Tables that ship inside packages, by name."""
    return {
        "breast_cancer": lambda: _sklearn("breast_cancer", "binary"),
        "wine": lambda: _sklearn("wine", "multiclass"),
        "digits": lambda: _sklearn("digits", "multiclass"),
        "diabetes": lambda: _sklearn("diabetes", "regression"),
        "diamonds_cut": lambda: Table("diamonds_cut", "multiclass", _diamonds(), "cut"),
        "diamonds_price": lambda: Table("diamonds_price", "regression", _diamonds(), "price"),
        "flights_arr_delay": lambda: _flights("arr_delay", "regression"),
        "flights_cancelled": lambda: _flights("cancelled", "binary"),
    }


def measure(table: Table, folder: Path) -> Quality:
    """Trains and predicts by the command and by hand.

    Args:
        folder: an empty one, for the files, the stores and the task.
    """
    frame = table.frame[table.frame[table.target].notna()].reset_index(drop=True)
    later = np.random.default_rng(0).random(len(frame)) < 1 / 5
    train, test = frame[~later].reset_index(drop=True), frame[later].reset_index(drop=True)
    began = time.perf_counter()
    ours = _ours(table, train, test, folder)
    seconds = {"ours": time.perf_counter() - began}
    rivals = {}
    for name, by_hand in (("catboost", _catboost), ("lightgbm", _lightgbm)):
        began = time.perf_counter()
        rivals[name] = _loss(table.kind, *by_hand(table, train, test))
        seconds[name] = time.perf_counter() - began
    return Quality(ours, rivals, _constant(table, train, test), seconds)


def _ours(table: Table, train: pd.DataFrame, test: pd.DataFrame, folder: Path) -> float:
    data = folder / "data" / table.name
    for stage in ("train", "predict"):
        (data / stage).mkdir(parents=True)
    train.to_parquet(data / "train" / "first.parquet", index=False)
    asked = test.drop(columns=table.target)
    asked.assign(**{_ROW: np.arange(len(asked))}).to_parquet(data / "predict" / "next.parquet", index=False)
    mine = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    variables = {**mine, "PIPELINE_TASKS": str(folder / "tasks"), "DATA_URI": str(folder / "data")}

    def run(*words: str) -> None:
        command = [_COMMAND, *words]
        done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")

    (folder / "tasks").mkdir()
    run("task", "new", table.name, "--from", str(data / "train" / "first.parquet"), "--target", table.target)
    run("run", table.name, "train", "first")
    run("run", table.name, "predict", "next")
    found = pd.read_parquet(data / "predictions" / "next.parquet").sort_values(_ROW)
    if table.kind == "regression":
        return _loss("regression", test[table.target].to_numpy(), found["prediction"].to_numpy())
    if table.kind == "binary":
        probability = found["probability"].to_numpy()
        return _loss("binary", test[table.target].to_numpy(), np.column_stack([1 - probability, probability]))
    rows = [dict(row) for row in found["probabilities"]]
    classes = sorted(rows[0])
    return _loss("multiclass", _places(test[table.target], classes), pd.DataFrame(rows)[classes].to_numpy())


def _catboost(table: Table, train: pd.DataFrame, test: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any]]:
    from catboost import CatBoostClassifier, CatBoostRegressor, Pool

    given = [_plain(part, table.target) for part in (train, test)]
    names = [name for name in given[0] if given[0][name].dtype == object]
    given = [part.assign(**{name: part[name].fillna("").astype(str) for name in names}) for part in given]
    made = CatBoostRegressor if table.kind == "regression" else CatBoostClassifier
    model = made(random_seed=0, thread_count=2, logging_level="Silent", allow_writing_files=False)
    model.fit(Pool(given[0], train[table.target], cat_features=names))
    return _answer(table, model, given[1], test)


def _lightgbm(table: Table, train: pd.DataFrame, test: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any]]:
    from lightgbm import LGBMClassifier, LGBMRegressor

    given = [_plain(part, table.target) for part in (train, test)]
    for name in [name for name in given[0] if given[0][name].dtype == object]:
        kind = pd.CategoricalDtype(given[0][name].dropna().unique())
        given = [part.assign(**{name: part[name].astype(kind)}) for part in given]
    made = LGBMRegressor if table.kind == "regression" else LGBMClassifier
    model = made(random_state=0, n_jobs=2, verbose=-1)
    model.fit(given[0], train[table.target])
    return _answer(table, model, given[1], test)


def _answer(table: Table, model: Any, given: pd.DataFrame, test: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any]]:
    label = test[table.target]
    if table.kind == "regression":
        return label.to_numpy(), model.predict(given)
    return _places(label, [str(name) for name in model.classes_]), model.predict_proba(given)


def _plain(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """What a person would give a package at first: all columns; a date as its parts."""
    given = frame.drop(columns=target)
    for name in given.columns:
        if pd.api.types.is_datetime64_any_dtype(given[name]):
            parts = {f"{name}_{part}": getattr(given[name].dt, part) for part in ("month", "day", "dayofweek")}
            given = given.drop(columns=name).assign(**parts)
    return given


def _constant(table: Table, train: pd.DataFrame, test: pd.DataFrame) -> float:
    label = test[table.target]
    if table.kind == "regression":
        return _loss("regression", label.to_numpy(), np.full(len(test), train[table.target].mean()))
    shares = train[table.target].astype(str).value_counts(normalize=True).sort_index()
    return _loss(table.kind, _places(label, list(shares.index)), np.tile(shares.to_numpy(), (len(test), 1)))


def _loss(kind: Kind, label: NDArray[Any], answer: NDArray[Any]) -> float:
    """The loss; of classes, ``label`` holds the columns of ``answer``."""
    if kind == "regression":
        return float(np.sqrt(np.mean((label - answer) ** 2)))
    chosen = answer[np.arange(len(label)), label.astype(int)]
    return float(-np.mean(np.log(np.clip(chosen, np.finfo(np.float64).eps, 1))))


def _places(label: "pd.Series[Any]", classes: list[str]) -> NDArray[np.int64]:
    return np.array([classes.index(value) for value in label.astype(str)])


def _sklearn(name: str, kind: Kind) -> Table:
    from sklearn import datasets

    return Table(name, kind, getattr(datasets, f"load_{name}")(as_frame=True).frame, "target")


def _diamonds() -> pd.DataFrame:
    from plotnine import data

    return data.diamonds.astype({"cut": object, "color": object, "clarity": object})


def _flights(target: str, kind: Kind) -> Table:
    """Flights with what is known before they leave, and one outcome."""
    from pipeline_assets.demo import flights

    with flights.source() as connection:
        frame = connection.sql(flights.DEPARTURES).df()
    outcome = frame["dep_time"].isna().astype(int) if target == "cancelled" else frame["arr_delay"]
    known = frame.drop(columns=list(flights.OUTCOME))
    return Table(f"flights_{target}", kind, known.assign(**{target: outcome}), target)


def main() -> None:
    """The command line: prints a table, and writes it beside the other results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--table", action="append", choices=tables(), help="only this one; may be given again")
    parser.add_argument("--rows", type=int, help="at most, of each table")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    print(f"{'table':<20}{'rows':>9}{'ours':>10}{'catboost':>10}{'lightgbm':>10}{'constant':>10}{'seconds':>9}")
    for name, make in tables().items():
        if given.table is not None and name not in given.table:
            continue
        table = make() if given.rows is None else make().sample(given.rows)
        with tempfile.TemporaryDirectory(prefix="quality-") as folder:
            found = measure(table, Path(folder))
        rivals = "".join(f"{loss:>10.5g}" for loss in found.rivals.values())
        missed = " MISSED" if found.worse_than("catboost") > TOLERANCE else ""
        print(
            f"{name:<20}{len(table.frame):>9,}{found.ours:>10.5g}{rivals}{found.constant:>10.5g}"
            f"{found.seconds['ours']:>9.0f}{missed}",
            flush=True,
        )
        line = {
            "step": f"quality of {name}",
            "machine": report.machine(),
            "rows": len(table.frame),
            "kind": table.kind,
            "loss": {"ours": found.ours, **found.rivals, "constant": found.constant},
            "seconds": {who: round(value, 1) for who, value in found.seconds.items()},
            "worse_than_catboost": round(found.worse_than("catboost"), 4),
        }
        report.write(given.results, [line])


if __name__ == "__main__":
    main()
