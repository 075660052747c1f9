"""Features back as Arrow: the store, beside pages that nobody decodes, the connector's select, and single rows."""

from collections.abc import Callable

from benchmarks import features_in
from benchmarks.features_in import connect, space
from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace, drain
from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore
from pipeline_assets.stores.features.tarantool_session import Session
from pipeline_assets.task.spec import Stage

_PAGE_ROWS = 10_000
_SINGLE_ROWS = 5_000
_GREATER_OR_EQUAL, _GREATER = 5, 6


def loaded(workspace: Workspace, stage: Stage = "train") -> tuple[int, int]:
    """Has the store hold a stage's rows; their space and generation."""
    connection = connect(workspace.tarantool_admin)
    if not connection.eval("return box.space[...] ~= nil and box.space[...]:len() > 0", space(workspace, stage)).data[
        0
    ]:
        features_in.load(workspace, stage)
    found = connection.eval("local s = box.space[...] return s.id, s.index[0]:min()[1]", space(workspace, stage)).data
    return found[0], found[1]


def _ours(workspace: Workspace) -> Work:
    loaded(workspace)
    store = TarantoolFeatureStore(workspace.tarantool)
    return lambda: drain(store.read(workspace.table("train"), BATCH))


def pages(workspace: Workspace, stage: Stage = "train") -> Work:
    """Pages as they come over the wire, only cut into rows so that the next can be asked for."""
    space_id, generation = loaded(workspace, stage)
    session = Session(workspace.tarantool)

    def page(after: int | None) -> tuple[int, int]:
        rows = session.page(space_id, generation, after, _PAGE_ROWS)
        return len(rows), rows.last()[1] if len(rows) else 0

    return lambda: _all(page)


def _select(workspace: Workspace) -> Work:
    """The connector's own select, which makes a list of Python objects a row."""
    space_id, generation = loaded(workspace)
    connection = connect(workspace.tarantool_admin)

    def page(after: int | None) -> tuple[int, int]:
        key, iterator = ([generation], _GREATER_OR_EQUAL) if after is None else ([generation, after], _GREATER)
        rows = connection.select(space_id, key, limit=_PAGE_ROWS, iterator=iterator).data
        return len(rows), rows[-1][1] if rows else 0

    return lambda: _all(page)


def _all(page: Callable[[int | None], tuple[int, int]]) -> int:
    count, last = page(None)
    got = count
    while got == _PAGE_ROWS:
        got, last = page(last)
        count += got
    return count


def _single(workspace: Workspace) -> Work:
    import pandas as pd

    space_id, generation = loaded(workspace)
    connection = connect(workspace.tarantool_admin)

    def work() -> int:
        rows = []
        for number in range(_SINGLE_ROWS):
            rows += connection.select(space_id, [generation, number]).data
        return len(pd.DataFrame(rows))

    return work


LINE = Line(
    "features back as Arrow",
    {OURS: _ours, LIMIT: pages, "connector's select": _select, "one select a row": _single},
    wanted={LIMIT: 0.45},
)
