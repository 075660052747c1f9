"""The demo step by step: writes real flights, trains, predicts three months, judges them by what came true."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline_assets.cli.home import home
from pipeline_assets.cli.progress import SHOWN, shown
from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.definitions import defs_of
from pipeline_assets.demo.flights import PREDICT, TASK, TRAIN, write
from pipeline_assets.demo.truth import demo_task, write_truth
from pipeline_assets.engine.record import manifest_of
from pipeline_assets.resources import file_store
from pipeline_assets.settings import Settings
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.stores.marts.model_choices import model_choices
from pipeline_assets.stores.marts.quality import metric_columns, quality
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from pipeline_assets.task.batch import BatchRef, InputRef, TruthRef

_STYLE: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}


def run_demo() -> int:
    """Runs the demo: 0 if every step and check passed, otherwise 1.

    Raises:
        PipelineError: a setting is wrong, a store does not answer, or the demo's flights are not installed.
    """
    console = Console(highlight=False)
    home()
    console.print("[bold]1. The flights of New York in 2013, as parquet[/bold]")
    files = file_store(Settings.from_env())
    with tempfile.TemporaryDirectory() as folder:
        for written in write(Path(folder)):
            changed = files.put(BatchRef(TASK, written.stage, written.batch), written.path)
            place = f"{files.uri}/{written.path.relative_to(folder)}"
            console.print(f"   {place}  {written.rows:,} rows{'' if changed else ', as before'}", soft_wrap=True)
    location = defs_of(TASK)
    batches = [BatchRef(TASK, "train", TRAIN), *(BatchRef(TASK, "predict", month) for month in PREDICT)]
    refs: list[InputRef] = [*batches, *(TruthRef(TASK, month) for month in PREDICT)]
    with dg.DagsterInstance.get() as instance:
        for number, ref in enumerate(refs, start=2):
            console.print(f"[bold]{number}. {ref.stage} {ref.batch}[/bold]")
            if isinstance(ref, TruthRef):
                _put_truth(files, ref)
            with shown(location, sys.stdout) as watched:
                result = run_batch(watched, instance, ref, SHOWN)
            if not result.success or failures(result):
                console.print("\n".join(failures(result)), style="red", markup=False)
                return 1
    stores = location.resources or {}
    console.print(_rows(stores, batches))
    console.print(_truth(stores))
    _places(console, stores)
    return 0


def _rows(stores: Any, batches: list[BatchRef]) -> Table:
    """Every batch's rows, from file to mart."""
    task, files, marts = demo_task(), stores["files"], stores["marts"]
    table = Table("rows", title="None is lost on the way", **_STYLE)
    counts: dict[str, list[int | None]] = {}
    for ref in batches:
        table.add_column(f"{ref.stage}\n{ref.batch}", justify="right")
        found, here = manifest_of(files, ref), {"batch": ref.batch}
        predicted = ref.stage == "predict"
        for name, count in (
            ("raw", found.rows),
            ("accepted", found.accepted),
            ("rejected", found.rejected),
            ("without label", None if predicted else found.unlabelled),
            ("input mart", marts.count(input_mart(task, ref.stage).name, here)),
            ("output mart", marts.count(output_mart(task).name, here) if predicted else None),
            ("lineage view", marts.count(lineage(task).name, here) if predicted else None),
            ("output file", files.read(Area.OUTPUT, ref).rows if predicted else None),
        ):
            counts.setdefault(name, []).append(count)
    for name, row in counts.items():
        table.add_row(name, *("" if count is None else f"{count:,}" for count in row))
    return table


def _put_truth(files: FileStore, ref: TruthRef) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files.put(ref, write_truth(ref.batch, Path(folder)))


def _truth(stores: Any) -> Table:
    """The predicted months against what came true, beside the constant baseline."""
    table = Table("model (baseline)", title="What came true", **_STYLE)
    rows: dict[str, list[str]] = {}
    for month, found in judgements(stores).items():
        table.add_column(month, justify="right")
        both = {name: tuple(found[each] for each in pair) for name, pair in metric_columns(demo_task()).items()}
        for name, cell in (
            ("flights judged", f"{found['judged_rows']:,}"),
            ("of them late", f"{found['label_mean']:.1%}"),
            ("ROC AUC", "{:.3f} ({:.3f})".format(*both["roc_auc"])),
            ("log loss", "{:.3f} ({:.3f})".format(*both["log_loss"])),
            ("precision", "{} ({})".format(*map(_share, both["precision"]))),
            ("recall", "{} ({})".format(*map(_share, both["recall"]))),
        ):
            rows.setdefault(name, []).append(cell)
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def judgements(stores: Any) -> dict[str, dict[str, Any]]:
    """The last judgement of each predicted month, as the mart of quality has it.

    Args:
        stores: the code location's resources, after the runs of the demo.
    """
    rows = stores["marts"].read(quality(demo_task()).name, {"segment": ""}).read_all().to_pylist()
    latest = {row["batch"]: row for row in sorted(rows, key=lambda row: row["judged_at"])}
    return {month: latest[month] for month in PREDICT}


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"


def _places(console: Console, stores: Any) -> None:
    """Where everything is now."""
    task, settings = demo_task(), Settings.from_env()
    console.print("[bold]Where to look[/bold]")
    tables = (output_mart(task), input_mart(task, "predict"), model_choices(task), quality(task))
    marts = (lineage(task).name, *(table.name for table in tables))
    for what, where in (
        ("output files", f"{stores['files'].uri}/{TASK}/predictions/"),
        ("rejected rows", f"{stores['files'].uri}/{TASK}/rejected/"),
        *(("mart", stores["marts"].uri(name).rpartition("/")[2]) for name in marts),
        *views(settings, home()),
    ):
        console.print(f"   {what:<16}{where}", soft_wrap=True)


def views(settings: Settings, dagster_home: Path) -> list[tuple[str, str]]:
    """What shows the marts, the models and the graph, and how to open it: embedded, on the stack, or elsewhere.

    Args:
        settings: of the demo's stores.
        dagster_home: of its runs; that of the stack lies in the folder of its servers.
    """
    select = f"select * from {settings.schema}.{TASK}_lineage limit 10;"
    if (dagster_home.parent / "plan.json").exists():
        from pipeline_assets.stack.plan import Plan  # only who has started it has the libraries that it needs

        stack = Plan.of(dagster_home.parent)
        if stack.postgres == settings.greenplum:
            return [
                ("the marts", f".venv/bin/pipeline-assets stack run .venv/bin/pipeline-assets sql, then {select}"),
                ("models", stack.url("mlflow")),
                ("the whole graph", stack.url("dagster")),
                ("the mart page", stack.url("mart_page")),
            ]
    # Beside servers of the user's own a Dagster of theirs shows the graph.
    ui = [] if settings.mlflow else [("the whole graph", "3000"), ("the mart page", "8000")]
    return [
        ("the marts", f"make sql, then {select}"),
        ("models", settings.mlflow_ui or "make mlflow-ui, then http://127.0.0.1:5000"),
        *((what, f"make ui, then http://127.0.0.1:{port}") for what, port in ui),
    ]
