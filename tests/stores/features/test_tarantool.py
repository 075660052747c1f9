"""What only Tarantool has: SQL, generations and their collection, rights, memory, and a server that goes away."""

import re
import secrets
import signal
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest
from tarantool.error import DatabaseError

from pipeline_assets.errors import DataError, StoreError, TransientError
from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.features import tarantool_session
from pipeline_assets.stores.features.base import FeatureTable
from pipeline_assets.stores.features.msgpack_codec import pack
from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore
from pipeline_assets.stores.features.tarantool_session import Session, to_store_error
from pipeline_assets.stores.load import pieces_of
from tests.fixtures.feature_writers import BATCH, ROWS_PER_STEP, Writer, content, table_of
from tests.fixtures.tarantool import GRANTS, TarantoolServer
from tests.stores.features.test_base import ROWS, rows, train

ENGINES = ["memtx", "vinyl"]


@pytest.fixture
def server(tarantool_server: TarantoolServer) -> TarantoolServer:
    return tarantool_server


@pytest.fixture(scope="module")
def login(tarantool_server: TarantoolServer) -> TarantoolSettings:
    return tarantool_server.login("module", *GRANTS)


@pytest.fixture
def store(login: TarantoolSettings) -> TarantoolFeatureStore:
    return TarantoolFeatureStore(login)


@pytest.fixture
def task() -> str:
    return f"task_{secrets.token_hex(4)}"


@pytest.fixture(params=ENGINES)
def table(request: pytest.FixtureRequest, task: str) -> FeatureTable:
    return FeatureTable(task, "train", ROWS, engine=request.param)


def stored(server: TarantoolServer, table: FeatureTable) -> int:
    """Rows of all generations of a table, seen by no reader or by some."""
    total = "local n = 0 for _, engine in pairs{'_MEMTX', '_VINYL'} do local s = box.space[... .. engine]"
    (count,) = server.lua(f"{total} n = n + (s and s:count() or 0) end return n", table.name)
    return int(count)


def alone(server: TarantoolServer) -> None:
    """Returns when the server knows that every client but the one that asks is gone."""
    server.lua("while box.stat.net().CONNECTIONS.current > 1 do require('fiber').sleep(0.001) end")


# --- SQL ---


def test_plain_sql_finds_rows_by_their_address(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(100).to_reader())
    store.replace(table, "2013-02", rows(100).to_reader())
    query = f"""SELECT batch, "ROW_NUMBER", distance, carrier, split_by FROM {table.name}
        WHERE batch = '2013-02' AND "ROW_NUMBER" = 50"""
    assert server.sql(query) == [("2013-02", 50, 50 / 3, "carrier 6", "2013-02-20")]
    assert server.sql(f"SELECT count(*) FROM {table.name} WHERE split_by >= '2013-02-01' AND distance IS NULL") == [
        (2 * sum(number % 7 == 0 for number in range(31, 100)),)
    ]
    plan = server.sql(f"EXPLAIN QUERY PLAN {query}")
    assert [re.sub(r".*PRIMARY KEY \((.*)\).*\(.*", r"\1", line[3]) for line in plan] == [
        "TABLE_NAME=? AND BATCH=?",
        "__GENERATION=? AND ROW_NUMBER=?",
    ]


def test_a_query_over_everything_goes_by_keys_too(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(10).to_reader())
    plan = server.sql(f"EXPLAIN QUERY PLAN SELECT carrier, avg(distance) FROM {table.name} GROUP BY carrier")
    assert not [line for line in plan if line[3].startswith("SCAN")]


def test_those_who_only_query_need_to_read_two_spaces(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(10).to_reader())
    spaces = (f"{table.name}_{table.engine.upper()}", "FEATURE_BATCHES")
    reader = server.login(f"reader_{table.task}", *(("read", "space", space) for space in spaces))
    assert server.sql(f"SELECT count(*) FROM {table.name}", reader) == [(10,)]
    with pytest.raises(DatabaseError, match="denied"):
        server.sql(f"DELETE FROM {spaces[0]}", reader)


def test_look_up_without_sql_takes_two_gets(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(100).to_reader())
    code = """local table_name, engine, batch, row_number = ...
        local generation = box.space.FEATURE_BATCHES:get{table_name, batch}.GENERATION
        return box.space[table_name .. '_' .. engine]:get{generation, row_number}.CARRIER"""
    assert server.lua(code, table.name, table.engine.upper(), BATCH, 50) == ["carrier 6"]


# --- generations ---

REQUESTS = ["collect 1", "begin 1", "append 1", "append 2", "append 3", "flip 1", "release 1", "collect 2"]
POINTS = [f"{moment} {request}" for request in REQUESTS for moment in ("before", "after")]


def test_queries_see_the_former_rows_until_the_flip_and_then_the_new_ones(
    server: TarantoolServer, login: TarantoolSettings, store: TarantoolFeatureStore, task: str
) -> None:
    table = table_of(task)
    store.replace(table, BATCH, content(task, "former", 1).to_reader())
    writer = Writer(login, task, "new", 3, at_requests=True)
    query = f'SELECT writer, count(*), count(DISTINCT "ROW_NUMBER") FROM {table.name} GROUP BY writer'
    for request in ("before append 1", "after append 2", "before flip 1"):
        writer.reach(request)
        assert server.sql(query) == [("former", ROWS_PER_STEP, ROWS_PER_STEP)]
    assert stored(server, table) == 4 * ROWS_PER_STEP
    writer.reach("after flip 1")
    assert server.sql(query) == [("new", 3 * ROWS_PER_STEP, 3 * ROWS_PER_STEP)]
    writer.finish()
    assert stored(server, table) == 3 * ROWS_PER_STEP


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_any_request_leaves_a_whole_batch_and_the_next_run_collects(
    server: TarantoolServer, login: TarantoolSettings, store: TarantoolFeatureStore, task: str, point: str
) -> None:
    table = table_of(task)
    former, new = content(task, "former", 1), content(task, "killed", 3)
    store.replace(table, BATCH, former.to_reader())
    writer = Writer(login, task, "killed", 3, at_requests=True)
    writer.reach(point)
    writer.kill()
    flipped = POINTS.index(point) > POINTS.index("before flip 1")
    assert store.read(table, BATCH).read_all().equals(new if flipped else former)
    alone(server)
    again = content(task, "again", 2)
    store.replace(table, BATCH, again.to_reader())
    assert store.read(table, BATCH).read_all().equals(again)
    assert stored(server, table) == again.num_rows


def test_a_run_does_not_collect_what_a_living_one_writes(
    server: TarantoolServer, login: TarantoolSettings, store: TarantoolFeatureStore, task: str
) -> None:
    table, slow = table_of(task), content(task, "slow", 3)
    writer = Writer(login, task, "slow", 3, at_requests=True)
    writer.reach("after append 2")
    quick = content(task, "quick", 1)
    store.replace(table, BATCH, quick.to_reader())
    assert stored(server, table) == 3 * ROWS_PER_STEP
    writer.reach("before flip 1")
    assert store.read(table, BATCH).read_all().equals(quick)
    assert writer.finish() == slow.num_rows
    assert store.read(table, BATCH).read_all().equals(slow)
    assert stored(server, table) == slow.num_rows


def test_what_a_reader_held_is_collected_by_a_run_after_it(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(30_000).to_reader())
    reader = store.read(table, BATCH)
    store.replace(table, BATCH, rows(10).to_reader())
    assert stored(server, table) == 30_010
    assert reader.read_all().num_rows == 30_000
    alone(server)
    store.replace(table, "2013-02", rows(5).to_reader())
    assert stored(server, table) == 15


def test_a_stream_that_breaks_leaves_no_rows_behind(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    wrong = pa.concat_tables([rows(30_000), rows(1)])
    with pytest.raises(DataError, match="out of order"):
        store.replace(table, BATCH, wrong.to_reader())
    assert stored(server, table) == 0


def test_a_generation_is_written_by_its_own_session_alone(login: TarantoolSettings, table: FeatureTable) -> None:
    tuples, lengths = pack(rows(3).to_batches()[0], 1)
    with Session(login) as session, Session(login) as other:
        generation, _ = session.run("begin", table.name, BATCH, table.engine, [])
        for call in (("append", generation, tuples, lengths), ("flip", generation, 3, 1, "")):
            with pytest.raises(TransientError, match=f"generation {generation} "), to_store_error(login, {}):
                other.run(*call)


def test_rows_deleted_by_hand_are_missed(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(10).to_reader())
    space = f"{table.name}_{table.engine.upper()}"
    server.lua("local s = box.space[...] s:delete(s.index.pk:max():transform(3, 9))", space)
    with pytest.raises(DataError, match=r"found: *9 rows"):
        store.read(table, BATCH).read_all()


# --- the ways into the server ---


def broken_off(tuples: pa.RecordBatch, generation: int, how: str) -> tuple[bytes, bytes]:
    """Tuples of which the last cannot go in."""
    good, good_lengths = pack(tuples, generation)
    last = tuples.slice(0, 1)
    if how == "a type":
        last = last.set_column(1, "distance", pa.array(["far"]))
    bad, bad_lengths = pack(last, generation)
    return good + bad, good_lengths + bad_lengths


@pytest.mark.parametrize("how", ["a type", "a duplicate"])
@pytest.mark.parametrize("way", ["memtx", "memtx with a trigger", "vinyl"])
def test_tuples_go_in_all_or_none(
    server: TarantoolServer, login: TarantoolSettings, task: str, way: str, how: str
) -> None:
    engine, *trigger = way.split(maxsplit=1)
    table = FeatureTable(task, "train", ROWS)
    columns = [["DISTANCE", "double"], ["CARRIER", "string"], ["LABEL", "integer"], ["SPLIT_BY", "string"]]
    with Session(login) as session:
        generation, _ = session.run("begin", table.name, BATCH, engine, columns)
        if trigger:
            server.lua("box.space[...]:before_replace(function(old, new) return new end)", f"{table.name}_MEMTX")
        good = rows(1_000).to_batches()[0]
        with pytest.raises(DatabaseError, match=r"type does not match|Duplicate key"):
            session.run("append", generation, *broken_off(good, generation, how))
        assert stored(server, table) == 0
        session.run("append", generation, *pack(good, generation))
        assert stored(server, table) == 1_000
        first = server.lua("return box.space[...].index.pk:min()", f"{table.name}_{engine.upper()}")[0]
        assert first == [generation, 0, None, "carrier 0", None, "2013-01-01"]


def test_a_space_with_a_trigger_keeps_values_as_exactly(
    server: TarantoolServer, store: TarantoolFeatureStore, task: str
) -> None:
    table = train(task)
    store.replace(table, "2013-02", rows(0).to_reader())
    server.lua("box.space[...]:on_replace(function() end)", f"{table.name}_MEMTX")
    numbers = [1.0, -0.0, 2.0**60, None, 0.1, -3.0, 1e300]
    written = rows(7).set_column(1, ROWS.field("distance"), pa.array(numbers))
    store.replace(table, BATCH, written.to_reader())
    assert repr(store.read(table, BATCH).read_all().to_pylist()) == repr(written.to_pylist())


def test_wide_rows_go_in_and_out_in_small_pieces(store: TarantoolFeatureStore, table: FeatureTable) -> None:
    count, seen = 60, list[int]()
    written = rows(count).set_column(2, ROWS.field("carrier"), pa.array([f"{row}" * 100_000 for row in range(count)]))
    store.replace(table, BATCH, written.to_reader(), seen.append)
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) <= 10
    pages = list(store.read(table, BATCH))
    assert max(page.num_rows for page in pages) <= 40
    assert pa.Table.from_batches(pages).equals(written)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_beyond_the_servers_limit_is_refused_with_the_setting(
    store: TarantoolFeatureStore, task: str, engine: str
) -> None:
    table = FeatureTable(task, "train", ROWS, engine=engine)  # type: ignore[arg-type]  # of ENGINES
    written = rows(1).set_column(2, ROWS.field("carrier"), pa.array(["x" * (1 << 20)]))
    with pytest.raises(StoreError, match=f"{engine}_max_tuple_size"):
        store.replace(table, BATCH, written.to_reader())


# --- a task that changes ---


def test_what_former_versions_stored_is_read_as_without_fingerprints(
    tarantool_server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(10).to_reader())
    # Their pointers have six fields.
    cut = "local p = box.space.FEATURE_BATCHES:get{...} box.space.FEATURE_BATCHES:replace(p:transform(7, 1))"
    tarantool_server.lua(cut, table.name, BATCH)
    assert store.read(table, BATCH).read_all() == rows(10)
    with pytest.raises(DataError, match=r"(?s)do not say which contract.*materialise .*_features for this batch again"):
        store.read(replace(table, fingerprints={"contract": "c"}), BATCH)


def test_spaces_that_former_versions_made_take_loads_and_fingerprints(
    own_tarantool: TarantoolServer, task: str
) -> None:
    own_tarantool.lua(
        "local b = box.schema.space.create('FEATURE_BATCHES', {format = {{'TABLE_NAME', 'string'}, {'BATCH', 'string'},"
        " {'GENERATION', 'unsigned'}, {'ROW_COUNT', 'unsigned'}, {'BYTES', 'unsigned'}, {'ARROW_SCHEMA', 'string'}}})"
        " b:create_index('pk', {parts = {{1, 'string'}, {2, 'string'}}})"
        " local g = box.schema.space.create('FEATURE_GENERATIONS', {format = {{'GENERATION', 'unsigned'},"
        " {'TABLE_NAME', 'string'}, {'BATCH', 'string'}, {'SPACE_ID', 'unsigned'}}})"
        " g:create_index('pk', {parts = {{1, 'unsigned'}}})"
        " g:create_index('by_table', {parts = {{2, 'string'}}, unique = false})"
    )
    store = TarantoolFeatureStore(own_tarantool.admin)
    table = replace(train(task), fingerprints={"contract": "c"})
    store.replace(table, BATCH, rows(10).to_reader())
    assert store.read(table, BATCH).read_all() == rows(10)
    load = store.begin(table, BATCH, 2)
    for piece in pieces_of(2):
        load.write(piece, rows(5, first=5 * piece.number).to_reader())
    assert load.commit() == 10
    assert store.read(table, BATCH).read_all() == rows(10)


def test_a_new_column_is_added_and_old_rows_have_null_there(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(2).to_reader())
    grown = FeatureTable(table.task, "train", ROWS.insert(1, pa.field("order by", pa.string())), table.engine)
    new = rows(1).add_column(1, "order by", pa.array(["new"]))
    store.replace(grown, "2013-02", new.to_reader())
    query = f'SELECT batch, "ROW_NUMBER", carrier, "ORDER BY" FROM {table.name} ORDER BY 1, 2'
    assert server.sql(query) == [
        (BATCH, 0, "carrier 0", None), (BATCH, 1, "carrier 1", None), ("2013-02", 0, "carrier 0", "new")
    ]  # fmt: skip


def test_another_type_is_refused_and_the_way_out_leads_out(
    server: TarantoolServer, store: TarantoolFeatureStore, table: FeatureTable
) -> None:
    store.replace(table, BATCH, rows(3).to_reader())
    other = FeatureTable(table.task, "train", ROWS.set(1, pa.field("distance", pa.string())), table.engine)
    new = rows(3).set_column(1, "distance", pa.array(["near", "far", None]))
    with pytest.raises(StoreError, match="DISTANCE: double there, string now") as error:
        store.replace(other, BATCH, new.to_reader())
    assert store.read(table, BATCH).read_all().equals(rows(3))
    way_out = re.search(r"box\.execute.*drop\(\)", str(error.value))
    assert way_out is not None
    server.lua(way_out[0])
    assert store.count(table, BATCH) is None
    with pytest.raises(DataError, match="are not there"):
        store.read(table, BATCH)
    store.replace(other, BATCH, new.to_reader())
    assert store.read(other, BATCH).read_all().equals(new)


@pytest.mark.parametrize(("former", "new"), [ENGINES, ENGINES[::-1]])
def test_a_task_may_change_its_engine_and_keep_its_batches(
    server: TarantoolServer, store: TarantoolFeatureStore, task: str, former: str, new: str
) -> None:
    one = FeatureTable(task, "train", ROWS.remove(2), engine=former)  # type: ignore[arg-type]  # of ENGINES
    two = FeatureTable(task, "train", ROWS.remove(4), engine=new)  # type: ignore[arg-type]  # of ENGINES
    query = f"SELECT batch, count(*), count(carrier), count(split_by) FROM {one.name} GROUP BY batch ORDER BY batch"
    store.replace(one, "a", rows(3).drop_columns("carrier").to_reader())
    store.replace(one, "b", rows(4).drop_columns("carrier").to_reader())
    store.replace(two, "a", rows(5).drop_columns("split_by").to_reader())
    assert server.sql(query) == [("a", 5, 5, 0), ("b", 4, 0, 4)]
    assert store.read(one, "b").read_all().equals(rows(4).drop_columns("carrier"))
    assert store.read(two, "a").read_all().equals(rows(5).drop_columns("split_by"))
    assert stored(server, one) == 9


# --- rights ---


def test_the_documented_rights_are_enough_and_the_error_names_them(own_tarantool: TarantoolServer, task: str) -> None:
    poor = own_tarantool.login("poor")
    store = TarantoolFeatureStore(poor)
    with pytest.raises(StoreError, match="the login poor lacks rights") as error:
        store.replace(train(task), BATCH, rows(3).to_reader())
    assert poor.password not in str(error.value)
    for grant in re.findall(r"box\.schema\.user\.grant\([^)]*\)", str(error.value)):
        own_tarantool.lua(grant)
    assert store.replace(train(task), BATCH, rows(3).to_reader()) == 3
    # Another login goes on with the spaces of the first, changes them too.
    other = own_tarantool.login("other")
    with pytest.raises(StoreError, match="lacks rights") as error:
        TarantoolFeatureStore(other).read(train(task), BATCH)
    for grant in re.findall(r"box\.schema\.user\.grant\([^)]*\)", str(error.value)):
        own_tarantool.lua(grant)
    grown = train(task, ROWS.append(pa.field("more", pa.float64())))
    new = rows(2).append_column("more", pa.array([1.0, 2.0]))
    TarantoolFeatureStore(other).replace(grown, BATCH, new.to_reader())
    assert store.read(grown, BATCH).read_all().equals(new)


def test_a_refused_login_names_the_variables_and_no_secret(login: TarantoolSettings, task: str) -> None:
    wrong = TarantoolSettings(login.host, login.port, login.login, "wrong-secret")
    unknown = TarantoolSettings(login.host, login.port, "nobody", login.password)
    for settings in (wrong, unknown):
        with pytest.raises(StoreError, match="TARANTOOL_PASSWORD") as error:
            TarantoolFeatureStore(settings).count(train(task), BATCH)
        assert not isinstance(error.value, TransientError)
        assert settings.password not in str(error.value)
        assert settings.login in str(error.value)


# --- a server that is full, or goes away ---


def test_a_full_memory_says_what_to_change_and_keeps_the_former_batch(
    own_tarantool: TarantoolServer, task: str
) -> None:
    store = TarantoolFeatureStore(own_tarantool.login("pipeline", *GRANTS))
    table = train(task)
    former = rows(1_000)
    store.replace(table, BATCH, former.to_reader())

    def endless() -> pa.RecordBatchReader:
        pieces = (rows(20_000, first=20_000 * piece).to_batches()[0] for piece in range(1_000))
        return pa.RecordBatchReader.from_batches(ROWS, pieces)

    with pytest.raises(StoreError, match="memtx_memory") as error:
        store.replace(table, BATCH, endless())
    assert "engine: vinyl" in str(error.value)
    assert store.read(table, BATCH).read_all().equals(former)
    assert stored(own_tarantool, table) == former.num_rows
    # There is room again, and the other way out works too.
    store.replace(table, BATCH, rows(50_000).to_reader())
    on_disk = FeatureTable(task, "train", ROWS, engine="vinyl")
    large = rows(100_000)
    store.replace(on_disk, BATCH, large.to_reader())
    assert store.read(on_disk, BATCH).read_all().equals(large)
    assert stored(own_tarantool, table) == large.num_rows


def test_no_server_is_a_passing_fault_that_names_the_variables(task: str) -> None:
    nobody = TarantoolSettings("127.0.0.1", 1, "pipeline", "secret-password")
    store = TarantoolFeatureStore(nobody)
    calls: list[Callable[[], object]] = [
        lambda: store.count(train(task), BATCH),
        lambda: store.read(train(task), BATCH),
        lambda: store.replace(train(task), BATCH, rows(1).to_reader()),
    ]
    for call in calls:
        with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 does not answer") as error:
            call()
        assert "TARANTOOL_HOST" in str(error.value)
        assert "secret-password" not in str(error.value)


@pytest.mark.parametrize(("code", "fault"), [(78, True), (97, True), (116, True), (135, True), (40, False), (5, False)])
def test_what_may_pass_is_told_from_what_will_not(login: TarantoolSettings, code: int, fault: bool) -> None:
    with pytest.raises(StoreError) as error, to_store_error(login, {"task": "t"}), Session(login) as session:
        session.eval("box.error(...)", code)
    assert isinstance(error.value, TransientError) == fault
    assert error.value.facts["found"]


def test_a_server_that_only_reads_is_read_and_not_written(own_tarantool: TarantoolServer, task: str) -> None:
    store = TarantoolFeatureStore(own_tarantool.login("pipeline", *GRANTS))
    store.replace(train(task), BATCH, rows(10).to_reader())
    own_tarantool.lua("box.cfg{read_only = true}")
    with pytest.raises(TransientError, match="point TARANTOOL_HOST at the master"):
        store.replace(train(task), BATCH, rows(20).to_reader())
    assert store.read(train(task), BATCH).read_all().equals(rows(10))


def test_a_server_that_hangs_is_given_up_and_its_late_answer_is_nobodys(
    own_tarantool: TarantoolServer, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = own_tarantool.login("pipeline", *GRANTS)
    monkeypatch.setattr(tarantool_session, "_ANSWER_SECONDS", 0.3)
    with Session(login) as session:
        own_tarantool.signal(signal.SIGSTOP)
        with pytest.raises(TransientError, match="does not answer"), to_store_error(login, {}):
            session.run("collect", train(task).name)
        own_tarantool.signal(signal.SIGCONT)
        with pytest.raises(TransientError, match="the connection is closed"), to_store_error(login, {}):
            session.run("collect", train(task).name)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=str)
@pytest.mark.parametrize(
    "point", ["before begin 1", "before append 1", "after append 2", "before flip 1", "after flip 1"]
)
def test_a_server_that_goes_away_under_a_load_keeps_a_whole_batch(
    own_tarantool: TarantoolServer, task: str, point: str, how: signal.Signals
) -> None:
    login = own_tarantool.login("pipeline", *GRANTS)
    store, table = TarantoolFeatureStore(login), table_of(task)
    former, new = content(task, "former", 1), content(task, "new", 3)
    store.replace(table, BATCH, former.to_reader())
    writer = Writer(login, task, "new", 3, at_requests=True)
    writer.reach(point)
    own_tarantool.stop(how)
    assert isinstance(writer.finish(), TransientError)
    own_tarantool.start()
    assert store.read(table, BATCH).read_all().equals(new if point == "after flip 1" else former)
    again = content(task, "again", 2)
    store.replace(table, BATCH, again.to_reader())
    assert store.read(table, BATCH).read_all().equals(again)
    assert stored(own_tarantool, table) == again.num_rows


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_killed_in_full_run_keeps_the_former_batch(
    own_tarantool: TarantoolServer, task: str, engine: str
) -> None:
    store = TarantoolFeatureStore(own_tarantool.login("pipeline", *GRANTS))
    table = FeatureTable(task, "train", ROWS, engine=engine)  # type: ignore[arg-type]  # of ENGINES
    store.replace(table, BATCH, rows(100).to_reader())

    def stop_at_some_point(written: int) -> None:
        # The next rows are on their way at this moment.
        if written > 20_000:
            own_tarantool.stop(signal.SIGKILL)

    with pytest.raises(TransientError, match="does not answer"):
        store.replace(table, BATCH, rows(80_000).to_reader(max_chunksize=5_000), stop_at_some_point)
    own_tarantool.start()
    assert store.read(table, BATCH).read_all().equals(rows(100))
    store.replace(table, BATCH, rows(200).to_reader())
    assert stored(own_tarantool, table) == 200


def test_a_server_that_restarts_under_a_reader_is_no_end_of_the_batch(
    own_tarantool: TarantoolServer, task: str
) -> None:
    store = TarantoolFeatureStore(own_tarantool.login("pipeline", *GRANTS))
    store.replace(train(task), BATCH, rows(100_000).to_reader())
    reader = store.read(train(task), BATCH)
    reader.read_next_batch()
    own_tarantool.stop(signal.SIGKILL)
    own_tarantool.start()
    with pytest.raises(TransientError, match="does not answer"):
        reader.read_all()


def test_a_writer_does_not_come_back_under_another_session(own_tarantool: TarantoolServer, task: str) -> None:
    login = own_tarantool.login("pipeline", *GRANTS)
    with Session(login) as session:
        session.run("begin", train(task).name, BATCH, "memtx", [])
        own_tarantool.stop()
        own_tarantool.start()
        for _ in range(2):
            with pytest.raises(TransientError, match="does not answer"), to_store_error(login, {}):
                session.run("collect", train(task).name)
