"""Scoring parquet to parquet: features and rows in, output and scores out, beside predict_proba on a ready Pool."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.clock import forget_peak
from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.engine.scoring import scoring
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.kinds.base import predict
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer, scores_schema
from pipeline_assets.stores.files.base import Area
from pipeline_assets.task.spec import TaskSpec

# Shares of the rows that go out.
_SHARES = (0.02, 0.2, 1.0)


def _features(workspace: Workspace, task: TaskSpec) -> pa.RecordBatchReader:
    return workspace.features.read(workspace.table("predict"), BATCH, tuple(task.features.categorical))


def _least(workspace: Workspace, share: float) -> float | None:
    """The probability from which on so many rows go out; ``None`` if all do."""
    if share == 1:
        return None
    native, features = workspace.model().native, workspace.task.features
    batches = _features(workspace, workspace.task)
    found = [native.predict_proba(scoring_frame(batch, features))[:, 1] for batch in batches]
    return float(np.quantile(np.concatenate(found), 1 - share))


def _ours(workspace: Workspace, share: float) -> Work:
    model, ref, least = workspace.model(), workspace.ref("predict"), _least(workspace, share)
    output = {"where": None if least is None else f"probability >= {least!r}"}
    task = workspace.task.model_copy(update={"output": workspace.task.output.model_copy(update=output)})
    raw = workspace.raw("predict", task)
    forget_peak()  # that of every row's probability, which is known here only to find out which rows go out

    def says(rows: pa.RecordBatch) -> Prediction:
        return predict(task, model, scoring_frame(rows, task.features))

    def work() -> int:
        with (
            scoring(raw, _features(workspace, task), lambda contract: Scorer(contract, BATCH, says, 1)) as scored,
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

    features = workspace.task.features
    native = workspace.model().native
    rows = _features(workspace, workspace.task).read_all().unify_dictionaries()
    pool = Pool(scoring_frame(rows, features), cat_features=list(features.categorical))
    return lambda: len(native.predict_proba(pool))


def _script(workspace: Workspace, share: float) -> Work:
    """Whatever is fastest by hand, the whole file in memory: the same two files."""
    import pandas as pd

    native, task, least = workspace.model().native, workspace.task, _least(workspace, share)
    folder, source = workspace.folder / "peer", workspace.file("predict")
    folder.mkdir(exist_ok=True)
    features = workspace.features.uri(workspace.table("predict"), BATCH)
    texts = [field.name for field in pq.read_schema(source) if pa.types.is_string(field.type)]

    def values(column: pa.ChunkedArray) -> object:
        if not pa.types.is_dictionary(column.type):
            return column.to_numpy()
        coded = column.unify_dictionaries().combine_chunks()
        return pd.Categorical.from_codes(coded.indices.to_numpy(), coded.dictionary.to_pandas())

    def work() -> int:
        with ThreadPoolExecutor(1) as beside:
            coming = beside.submit(pq.read_table, source, read_dictionary=texts)
            prepared = pq.read_table(features, read_dictionary=list(task.features.categorical))
            frame = pd.DataFrame({name: values(prepared[name]) for name in task.features.names}, copy=False)
            probability = native.predict_proba(frame)[:, 1]
            scores = pa.table({"row_number": prepared["row_number"], "probability": probability})
            scores = scores.append_column("predicted_label", [pa.array(probability >= 0.5)])
            rows = coming.result()
            if least is None:
                rows = rows.append_column("probability", scores["probability"])
                rows = rows.append_column("predicted_label", scores["predicted_label"])
            else:
                decision = pa.array(probability >= least)
                scores = scores.append_column("decision", [decision])
                rows = rows.filter(decision)
                prepared = prepared.filter(decision)
            written = beside.submit(pq.write_table, scores, folder / "scores.parquet", compression="zstd")
            rows = rows.append_column("batch", [pa.repeat(BATCH, rows.num_rows).dictionary_encode()])
            rows = rows.append_column("row_number", prepared["row_number"])
            pq.write_table(rows, folder / "output.parquet", compression="zstd")
            written.result()
        return len(probability)

    return work


def _pandas(workspace: Workspace, share: float) -> Work:
    import pandas as pd

    native, task, least = workspace.model().native, workspace.task, _least(workspace, share)
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
        kept = rows if least is None else rows[rows["probability"] >= least]
        kept.to_parquet(folder / "output.parquet")
        return len(rows)

    return work


LINES = tuple(
    Line(
        f"scoring parquet to parquet, {share:.0%} of the rows go out",
        {
            OURS: partial(_ours, share=share),
            LIMIT: predict_proba,
            "script": partial(_script, share=share),
            "pandas": partial(_pandas, share=share),
        },
        wanted={LIMIT: 0.5, "script": 0.95, "pandas": 1},
    )
    for share in _SHARES
)
