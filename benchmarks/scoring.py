"""Scoring parquet to parquet: rows and features in, output and scores out, beside predict_proba on a ready Pool."""

import pyarrow as pa

from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.engine.scoring import scoring
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.kinds.base import predict
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer, scores_schema
from pipeline_assets.stores.files.base import Area


def _ours(workspace: Workspace) -> Work:
    model, task, ref = workspace.model(), workspace.task, workspace.ref("predict")
    import pandas as pd  # noqa: F401 - its import is not what is measured

    def work() -> int:
        def say(rows: pa.RecordBatch) -> Prediction:
            return predict(task, model, scoring_frame(rows, task.features))

        features = workspace.features.read(workspace.table("predict"), BATCH)
        with (
            scoring(workspace.raw("predict"), features, lambda contract: Scorer(contract, BATCH, say, 1)) as scored,
            workspace.files.sink(Area.OUTPUT, ref, scored.output_schema) as output,
            workspace.files.sink(Area.SCORES, ref, scores_schema(task)) as scores,
        ):
            sinks = {Area.OUTPUT: output, Area.SCORES: scores}
            for area, rows in scored.rows:
                sinks[area].write(rows)
        return scores.rows

    return work


def predict_proba(workspace: Workspace) -> Work:
    """The model alone, on a Pool that has been made."""
    from catboost import Pool

    table = workspace.features.read(workspace.table("predict"), BATCH).read_all()
    features = workspace.task.features
    native = workspace.model().native
    pool = Pool(scoring_frame(table, features), cat_features=list(features.categorical))
    return lambda: len(native.predict_proba(pool))


def _pandas(workspace: Workspace) -> Work:
    import pandas as pd

    native, task = workspace.model().native, workspace.task
    folder = workspace.folder / "peer"
    folder.mkdir(exist_ok=True)
    features = workspace.features.uri(workspace.table("predict"), BATCH)

    def work() -> int:
        rows = pd.read_parquet(workspace.file("predict"))
        prepared = pd.read_parquet(features)
        rows = rows.iloc[prepared["row_number"]].reset_index(drop=True)
        rows["probability"] = native.predict_proba(prepared[list(task.features.names)])[:, 1]
        rows["row_number"] = prepared["row_number"]
        rows[["row_number", "probability"]].to_parquet(folder / "scores.parquet")
        rows[rows["probability"] >= 0.35].to_parquet(folder / "output.parquet")
        return len(rows)

    return work


LINE = Line(
    "scoring parquet to parquet",
    {OURS: _ours, LIMIT: predict_proba, "pandas": _pandas},
    wanted={LIMIT: 0.75, "pandas": 1},
)
