import logging
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline_assets.cli.run import readable, run_batches
from pipeline_assets.errors import ContractError
from tests.examples import orders
from tests.workbench import Workbench


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))


def half_spoiled(table: pa.Table) -> pa.Table:
    price = pc.if_else(pc.equal(pc.bit_wise_and(table["order_id"], 1), 0), -1.0, table["price"])
    return table.set_column(table.column_names.index("price"), "price", price)


def test_a_batch_that_fails_stops_none_after_it_and_says_why_once(
    place: Workbench, capfd: pytest.CaptureFixture[str]
) -> None:
    place.put("train", "2026-01", orders(200))
    place.put("predict", "2026-02", half_spoiled(orders(100, stage="predict")))
    place.put("predict", "2026-03", orders(100, stage="predict"))
    assert run_batches(place.defs, "shop", "train", ["2026-01"])
    capfd.readouterr()
    assert not run_batches(place.defs, "shop", "predict", None)
    said = capfd.readouterr()
    assert said.err.count("50 of 100 rows rejected (50.00%)") == 1
    assert "Traceback" not in said.err
    assert "Stack Trace" not in said.err
    assert "dagster." not in said.err
    assert "Dependencies for step" not in said.err
    assert "shop predict 2026-02: failed in" in said.err
    assert "shop predict 2026-03: done in" in said.err
    assert "1 of 2 batches done" in said.err
    assert said.out.count("shop/predictions ") == 1
    assert place.output("2026-03").num_rows > 0


def test_rejected_rows_and_warnings_of_a_run_that_succeeds_are_told(
    place: Workbench, capfd: pytest.CaptureFixture[str]
) -> None:
    place.put("train", "2026-01", orders(200))
    table = orders(101, stage="predict")
    price = pa.array([-1.0, *table["price"].to_pylist()[1:]])
    numbers = pa.array([*table["order_id"].to_pylist()[:-1], 99])
    table = table.set_column(3, "price", price).set_column(0, "order_id", numbers).append_column("extra", numbers)
    place.put("predict", "март", table)
    assert run_batches(place.defs, "shop", "train", ["2026-01"])
    assert "rejected" not in capfd.readouterr().err
    assert run_batches(place.defs, "shop", "predict", ["март"])
    said = capfd.readouterr()
    told = said.err.splitlines()
    assert f"  2 of 101 rows are rejected: {place.root}/data/shop/rejected/predict/март.parquet" in told
    assert "  warning: shop/predict_raw columns_expected: unexpected: extra" in told
    key = "1 rows repeat the key of an earlier row and were rejected"
    assert f"  warning: shop/predict_raw key_unique: {key}" in told
    assert said.err.index("rows are rejected") < said.err.index("shop predict март: done in")


def test_an_address_is_shown_with_the_letters_of_its_batch() -> None:
    shown = readable("tarantool://127.0.0.1:3301/shop_predict?batch=%D0%B7%D0%B0%D0%BA%D0%B0%D0%B7%201%2F2")
    assert shown == "tarantool://127.0.0.1:3301/shop_predict?batch=заказ%201%2F2"


def test_a_step_says_how_it_goes_in_plain_lines_where_nobody_watches(
    place: Workbench, capfd: pytest.CaptureFixture[str]
) -> None:
    place.put("train", "2026-01", orders(200))
    assert run_batches(place.defs, "shop", "train", ["2026-01"])
    said = capfd.readouterr()
    done = [line.partition(" done after ")[0].strip() for line in said.err.splitlines() if " done after " in line]
    assert done == ["train_raw", "train_features + train_input_mart", "model"]
    assert "\x1b" not in said.err


def test_debug_shows_the_traces(place: Workbench, capfd: pytest.CaptureFixture[str]) -> None:
    place.path("predict", "2026-02").write_bytes(b"not parquet")
    assert not run_batches(place.defs, "shop", "predict", ["2026-02"])
    assert "Stack Trace" not in capfd.readouterr().err
    assert not run_batches(place.defs, "shop", "predict", ["2026-02"], debug=True)
    assert "Stack Trace" in capfd.readouterr().err
    logging.getLogger("dagster").handlers.clear()


def test_before_anything_runs_every_batch_must_be_there(place: Workbench) -> None:
    place.put("predict", "2026-02", orders(10, stage="predict"))
    with pytest.raises(ContractError, match="no such batch"):
        run_batches(place.defs, "shop", "predict", ["2026-02", "2026-20"])
    assert place.instance.get_runs() == []
    with pytest.raises(ContractError, match=r"there is no batch(.|\n)*shop/train"):
        run_batches(place.defs, "shop", "train", None)


def test_the_command_names_a_task_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_assets.cli", "run", "flight_delay", "train", "x"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("there is no such task\n")
    assert "did you mean: flight_delays?" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
