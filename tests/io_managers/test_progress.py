from pipeline_assets.io_managers.progress import Progress


def test_a_line_each_tenth_of_many_rows() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, "scores", 5_000_000)
    for rows in range(0, 5_000_001, 125_000):
        progress(rows)
    assert len(lines) == 10
    assert lines[0] == "scores: 500,000 of 5,000,000 rows"


def test_few_rows_are_not_worth_a_line() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, "scores")
    progress(99_999)
    assert lines == []
    assert progress.metadata()["dagster/row_count"].value == 99_999
