"""Features to Tarantool: the store, beside a Lua loop over the same tuples in the server, and beside single inserts."""

from itertools import islice

import pyarrow as pa
import tarantool

from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore
from pipeline_assets.task.spec import Stage

_SINGLE_ROWS = 5_000
# The store's own spaces; a benchmark of loads starts from nothing, not from a batch to be collected.
_EMPTY = """
for _, name in ipairs({'FEATURE_BATCHES', 'FEATURE_GENERATIONS', ...}) do
    if box.space[name] ~= nil then box.space[name]:truncate() end
end
"""
_COPY_SPACE = """
local name, copy = ...
if box.space[copy] ~= nil then box.space[copy]:drop() end
local source = box.space[name]
local space = box.schema.space.create(copy, {format = source:format()})
local parts = {}
for _, part in ipairs(source.index[0].parts) do table.insert(parts, {part.fieldno, part.type}) end
space:create_index('primary', {parts = parts})
return space.id
"""
# A commit every 8,192 rows, as often as the store's; the tuples are ready, so that nothing is timed but inserting.
_LOOP = """
local name, copy, as_tables = ...
local source, space, count = box.space[name], box.space[copy], 0
local ffi, doubles = require('ffi'), {}
for place, field in ipairs(source:format()) do
    if field.type == 'double' then table.insert(doubles, place) end
end
box.begin()
for _, tuple in source:pairs() do
    if as_tables then
        tuple = tuple:totable()
        -- Lua has one kind of number, and Tarantool packs 5.0 as an integer unless told that it is a double.
        for _, place in ipairs(doubles) do
            if tuple[place] ~= nil then tuple[place] = ffi.cast('double', tuple[place]) end
        end
    end
    space:insert(tuple)
    count = count + 1
    if count % 8192 == 0 then
        box.commit()
        box.begin()
    end
end
box.commit()
return count
"""


def connect(settings: TarantoolSettings) -> tarantool.Connection:
    """The connector as it comes: it waits as long as it takes."""
    return tarantool.Connection(settings.host, settings.port, user=settings.login, password=settings.password)


def space(workspace: Workspace, stage: Stage = "train") -> str:
    """Where the store keeps a stage's rows."""
    return f"{workspace.table(stage).name}_MEMTX"


def copied(stage: Stage = "train") -> str:
    """The space that those who do without the store write to."""
    return f"BENCHMARK_COPY_{stage.upper()}"


def empty(workspace: Workspace, stage: Stage = "train") -> None:
    """Takes everything out of a stage's space."""
    connect(workspace.tarantool_admin).eval(_EMPTY, space(workspace, stage), copied(stage))


def load(workspace: Workspace, stage: Stage = "train") -> int:
    """The stage's features through the store; how many rows."""
    table = workspace.table(stage)
    return TarantoolFeatureStore(workspace.tarantool).replace(table, BATCH, workspace.features.read(table, BATCH))


def _ours(workspace: Workspace) -> Work:
    empty(workspace)
    return lambda: load(workspace)


def lua_loop(workspace: Workspace, stage: Stage = "train", *, as_tables: bool = False) -> Work:
    """The stage's tuples, copied by the server itself from one space to another."""
    empty(workspace, stage)
    load(workspace, stage)
    connection = connect(workspace.tarantool_admin)
    connection.eval(_COPY_SPACE, space(workspace, stage), copied(stage))
    return lambda: int(connection.eval(_LOOP, space(workspace, stage), copied(stage), as_tables).data[0])


def _single(workspace: Workspace) -> Work:
    empty(workspace)
    load(workspace)
    connection = connect(workspace.tarantool_admin)
    space_id = connection.eval(_COPY_SPACE, space(workspace), copied()).data[0]
    batches = islice(workspace.features.read(workspace.table("train"), BATCH), 1)
    sample = pa.Table.from_batches(batches).slice(0, _SINGLE_ROWS)
    sample = sample.set_column(len(sample.column_names) - 1, "split_by", sample["split_by"].cast(pa.string()))
    fields = connection.eval("return box.space[...]:format()", copied()).data[0]
    columns = {name.upper(): sample[name].to_pylist() for name in sample.column_names}
    columns[fields[0]["name"]] = [1] * len(sample)
    rows = list(zip(*(columns[field["name"]] for field in fields), strict=True))

    def work() -> int:
        for row in rows:
            connection.insert(space_id, row)
        return len(rows)

    return work


LINE = Line(
    "features to Tarantool",
    {
        OURS: _ours,
        LIMIT: lua_loop,
        "Lua loop, tables": lambda workspace: lua_loop(workspace, as_tables=True),
        "one insert a row": _single,
    },
    wanted={LIMIT: 0.85, "one insert a row": 50},
    peers={"Feast": "feast_online"},
)
