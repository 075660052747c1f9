-- The part of the feature store that runs inside Tarantool: sent by eval, kept in package.loaded under the given name.
-- It uses only what both 2.6 and 3.x have.
local module_name = ...
if package.loaded[module_name] ~= nil then
    return
end

local ffi = require('ffi')
local fiber = require('fiber')
local msgpack = require('msgpack')

-- Codes of box.error beyond the server's own; the Python side knows them.
local LOST, INCOMPATIBLE, OUT_OF_ORDER = 20001, 20002, 20003

-- Rows per transaction and transactions per request when a generation is collected: between transactions the server
-- answers other clients, and between requests the client sees that the work goes on.
local COLLECTED_AT_ONCE, COLLECTIONS_PER_CALL = 2000, 20

-- A load is renewed at most this often, in seconds.
local RENEWED_EVERY = 60

-- An error means that another version of this file, or other code, has declared it already.
pcall(ffi.cdef, 'int box_insert(uint32_t, const char *, const char *, void **);')

-- Shared by all versions of this file. A lease is a session that writes or reads a generation; it ends with its
-- session, and all end with the server.
local shared = package.loaded['pipeline_assets.features']
if shared == nil then
    shared = {leases = {}, appending = {}, schema_lock = fiber.channel(1)}
    package.loaded['pipeline_assets.features'] = shared
end
shared.piece_locks = shared.piece_locks or {}

local function refuse(code, reason)
    box.error({code = code, reason = reason})
end

local function exclusively(action, ...)
    shared.schema_lock:put(true)
    local ok, result, more = pcall(action, ...)
    shared.schema_lock:get()
    if not ok then
        error(result)
    end
    return result, more
end

local function lease(generation)
    local sessions = shared.leases[generation] or {}
    sessions[box.session.id()] = true
    shared.leases[generation] = sessions
end

local function is_leased(generation)
    local sessions = shared.leases[generation] or {}
    for session in pairs(sessions) do
        if box.session.exists(session) then
            return true
        end
        sessions[session] = nil
    end
    shared.leases[generation] = nil
    -- The session of a killed client ends before its last request has ended.
    return shared.appending[generation] ~= nil
end

-- The generation's record, if this session may write it.
local function own(generation)
    local record = box.space.FEATURE_GENERATIONS:get(generation)
    local sessions = shared.leases[generation]
    if record == nil or sessions == nil or not sessions[box.session.id()] then
        refuse(LOST, 'generation ' .. generation .. ' is no longer this session\'s')
    end
    return record
end

local function create_space(name, engine, format, key)
    local space = box.schema.space.create(name, {engine = engine, format = format, if_not_exists = true})
    space:create_index('pk', {parts = key, if_not_exists = true})
    return space
end

local function create_directory()
    create_space('FEATURE_BATCHES', 'memtx', {
        {'TABLE_NAME', 'string'}, {'BATCH', 'string'}, {'GENERATION', 'unsigned'}, {'ROW_COUNT', 'unsigned'},
        {'BYTES', 'unsigned'}, {'ARROW_SCHEMA', 'string'}, {name = 'FINGERPRINTS', type = 'string', is_nullable = true},
    }, {{1, 'string'}, {2, 'string'}})
    create_space('FEATURE_GENERATIONS', 'memtx', {
        {'GENERATION', 'unsigned'}, {'TABLE_NAME', 'string'}, {'BATCH', 'string'}, {'SPACE_ID', 'unsigned'},
        {name = 'PIECES', type = 'unsigned', is_nullable = true},
        {name = 'RENEWED', type = 'number', is_nullable = true},
    }, {{1, 'unsigned'}})
    create_space('FEATURE_PIECES', 'memtx', {
        {'GENERATION', 'unsigned'}, {'PIECE', 'unsigned'}, {'ATTEMPT', 'string'},
        {name = 'FIRST_ROW', type = 'integer', is_nullable = true},
        {name = 'LAST_ROW', type = 'integer', is_nullable = true},
        {'ROW_COUNT', 'unsigned'}, {'BYTES', 'unsigned'}, {'WRITTEN', 'boolean'},
    }, {{1, 'unsigned'}, {2, 'unsigned'}})
    box.space.FEATURE_GENERATIONS:create_index('by_table', {
        parts = {{2, 'string'}}, unique = false, if_not_exists = true,
    })
end

-- The space of rows, with at least these columns; a column is {name, type}.
local function create_rows(table_name, engine, columns)
    local format = {{name = '__GENERATION', type = 'unsigned'}, {name = 'ROW_NUMBER', type = 'integer'}}
    local space = create_space(table_name .. '_' .. engine:upper(), engine, format, {{1, 'unsigned'}, {2, 'integer'}})
    local types, misfits, added = {}, {}, false
    format = space:format()
    for _, field in ipairs(format) do
        types[field.name] = field.type
    end
    for _, column in ipairs(columns) do
        local name, wanted = column[1], column[2]
        if types[name] == nil then
            table.insert(format, {name = name, type = wanted, is_nullable = true})
            added = true
        elseif types[name] ~= wanted then
            table.insert(misfits, ('%s: %s there, %s now'):format(name, types[name], wanted))
        end
    end
    if #misfits > 0 then
        refuse(INCOMPATIBLE, table.concat({space.name, table_name, unpack(misfits)}, '\n'))
    end
    if added then
        space:format(format)
    end
    return space
end

local function quoted(name)
    return '"' .. (name:gsub('"', '""')) .. '"'
end

-- SQL that shows the current generation of every batch, whichever of the spaces it is in.
local function view_sql(table_name, spaces)
    local columns, seen, selects = {}, {}, {}
    for _, space in ipairs(spaces) do
        for i, field in ipairs(space:format()) do
            if i > 1 and not seen[field.name] then
                seen[field.name] = true
                table.insert(columns, field)
            end
        end
    end
    for _, space in ipairs(spaces) do
        local has, list = {}, {'b."BATCH" AS "BATCH"'}
        for _, field in ipairs(space:format()) do
            has[field.name] = true
        end
        for _, column in ipairs(columns) do
            local name = quoted(column.name)
            local value = has[column.name] and 'r.' .. name or ('CAST(NULL AS %s)'):format(column.type:upper())
            table.insert(list, value .. ' AS ' .. name)
        end
        table.insert(selects, ('SELECT %s FROM "FEATURE_BATCHES" AS b JOIN %s AS r'
            .. ' ON r."__GENERATION" = b."GENERATION" WHERE b."TABLE_NAME" = \'%s\''):format(
            table.concat(list, ', '), quoted(space.name), table_name))
    end
    return 'CREATE VIEW ' .. quoted(table_name) .. ' AS ' .. table.concat(selects, ' UNION ALL ')
end

local function execute(sql)
    local _, err = box.execute(sql)
    if err ~= nil then
        error(err)
    end
end

local function in_transaction(action)
    box.begin()
    local ok, err = pcall(action)
    if not ok then
        box.rollback()
        error(err)
    end
    box.commit()
end

local function create_view(table_name, space)
    -- A batch written under the other engine stays where it is until it is written again.
    local spaces, listed = {space}, {[space.id] = true}
    for _, generation in box.space.FEATURE_GENERATIONS.index.by_table:pairs(table_name) do
        local other = box.space[generation.SPACE_ID]
        if other ~= nil and not listed[other.id] then
            listed[other.id] = true
            table.insert(spaces, other)
        end
    end
    local sql = view_sql(table_name, spaces)
    local view = box.space._vspace.index.name:get(table_name)
    if view ~= nil and view[6].sql == sql then
        return
    end
    in_transaction(function()
        if view ~= nil then
            execute('DROP VIEW ' .. quoted(table_name))
        end
        execute(sql)
    end)
end

-- Fields of FEATURE_GENERATIONS and FEATURE_BATCHES by number: spaces made by older versions have no names for them.
local PIECES, RENEWED, FINGERPRINTS = 5, 6, 7

local function create_generation(table_name, batch, engine, columns, pieces)
    create_directory()
    local space = create_rows(table_name, engine, columns)
    -- The record of the newest generation is never deleted, so that no number is given twice.
    local newest = box.space.FEATURE_GENERATIONS.index.pk:max()
    local generation = newest == nil and 1 or newest.GENERATION + 1
    lease(generation)
    local record = {generation, table_name, batch, space.id}
    if pieces ~= nil then
        record[PIECES], record[RENEWED] = pieces, fiber.time()
    end
    box.space.FEATURE_GENERATIONS:insert(record)
    create_view(table_name, space)
    local names = {}
    for i, field in ipairs(space:format()) do
        names[i] = field.name
    end
    return generation, names
end

-- Inserts packed tuples through the C interface. Only for memtx without triggers, where an insert inside a transaction
-- neither yields nor runs Lua: either one within a foreign call crashes LuaJIT.
local function insert_packed(space, tuples, lengths, count)
    local id, tuple = space.id, ffi.cast('const char *', tuples)
    local length, tuples_end = ffi.cast('const uint32_t *', lengths), tuple + #tuples
    for i = 0, count - 1 do
        local tuple_end = tuple + length[i]
        assert(tuple_end <= tuples_end)
        if ffi.C.box_insert(id, tuple, tuple_end, nil) ~= 0 then
            error(box.error.last())
        end
        tuple = tuple_end
    end
end

local function insert_decoded(space, tuples)
    local doubles, position = {}, 1
    for i, field in ipairs(space:format()) do
        if field.type == 'double' then
            table.insert(doubles, i)
        end
    end
    while position <= #tuples do
        local row
        row, position = msgpack.decode(tuples, position)
        for _, i in ipairs(doubles) do
            -- Lua numbers lose the type: 1.0 would become the integer 1.
            if type(row[i]) == 'number' then
                row[i] = ffi.cast('double', row[i])
            end
        end
        space:insert(row)
    end
end

local function takes_packed(space)
    return space.engine == 'memtx' and #space:on_replace() == 0 and #space:before_replace() == 0
end

local M = {}

-- A new generation of a batch, leased to this session, and the names of the fields that its tuples have.
-- With a number of pieces it is a load, which stays open when this session ends.
function M.begin(table_name, batch, engine, columns, pieces)
    return exclusively(create_generation, table_name, batch, engine, columns, pieces)
end

local function insert(generation, space, tuples, lengths)
    shared.appending[generation] = true
    local ok, err = pcall(in_transaction, function()
        if takes_packed(space) then
            insert_packed(space, tuples, lengths, #lengths / 4)
        else
            insert_decoded(space, tuples)
        end
    end)
    shared.appending[generation] = nil
    if not ok then
        error(err)
    end
end

-- Inserts tuples, all or none; lengths are those of the tuples in bytes, each a little-endian uint32.
function M.append(generation, tuples, lengths)
    insert(generation, box.space[own(generation).SPACE_ID], tuples, lengths)
end

-- Makes the generation the content of its batch.
function M.flip(generation, row_count, bytes, arrow_schema, fingerprints)
    local record = own(generation)
    box.space.FEATURE_BATCHES:replace({
        record.TABLE_NAME, record.BATCH, generation, row_count, bytes, arrow_schema, fingerprints,
    })
end

-- Loads of several pieces, each written in another session. A load is a generation with a number of pieces; it is alive
-- as long as it is renewed. Only the attempt that began last writes a piece. The first and last row number of a piece
-- are noted before its rows are inserted: rows and notes cannot share a transaction, because vinyl's rows are in
-- another engine than the notes.

local function open_load(generation)
    local record = box.space.FEATURE_GENERATIONS and box.space.FEATURE_GENERATIONS:get(generation)
    if record ~= nil and (record[RENEWED] or 0) > 0 then
        return record
    end
end

local function renew(record)
    if fiber.time() - record[RENEWED] > RENEWED_EVERY then
        box.space.FEATURE_GENERATIONS:update(record.GENERATION, {{'=', RENEWED, fiber.time()}})
    end
end

local function close_load(generation)
    for _, piece in ipairs(box.space.FEATURE_PIECES:select({generation})) do
        box.space.FEATURE_PIECES:delete({generation, piece.PIECE})
    end
    box.space.FEATURE_GENERATIONS:update(generation, {{'=', PIECES, 0}, {'=', RENEWED, 0}})
    shared.piece_locks[generation] = nil
end

-- Runs one action at a time on the rows of a piece, to its end, even if the client has disconnected.
local function alone(generation, piece, action)
    local locks = shared.piece_locks[generation] or {}
    shared.piece_locks[generation] = locks
    locks[piece] = locks[piece] or fiber.channel(1)
    local lock = locks[piece]
    lock:put(true)
    local ok, result = pcall(action)
    lock:get()
    if not ok then
        error(result)
    end
    return result
end

-- The records of a load and of its piece, if this attempt may write the piece.
local function attempted(generation, piece, attempt)
    local record = open_load(generation)
    local note = record and box.space.FEATURE_PIECES:get({generation, piece})
    if note == nil or note.ATTEMPT ~= attempt then
        refuse(LOST, ('piece %d of generation %d is being written by another attempt'):format(piece, generation))
    end
    return record, note
end

-- Gives a piece to an attempt; false if the load is not open any more.
function M.begin_piece(generation, piece, attempt)
    return alone(generation, piece, function()
        local record = open_load(generation)
        if record == nil then
            shared.piece_locks[generation] = nil
            return false
        end
        local note = box.space.FEATURE_PIECES:get({generation, piece})
        if note == nil then
            box.space.FEATURE_PIECES:insert({generation, piece, attempt, box.NULL, box.NULL, 0, 0, false})
        else
            box.space.FEATURE_PIECES:update({generation, piece}, {{'=', 'ATTEMPT', attempt}, {'=', 'WRITTEN', false}})
        end
        lease(generation)
        renew(record)
        return true
    end)
end

-- Deletes some of the rows that earlier attempts left; true when there are no more.
function M.clear_piece(generation, piece, attempt)
    return alone(generation, piece, function()
        local record, note = attempted(generation, piece, attempt)
        if note.FIRST_ROW == nil then
            return true
        end
        local space, rows = box.space[record.SPACE_ID], {}
        for _, row in space:pairs({generation, note.FIRST_ROW}, {iterator = 'GE'}) do
            if row[1] ~= generation or row[2] > note.LAST_ROW or #rows == COLLECTED_AT_ONCE then
                break
            end
            table.insert(rows, row[2])
        end
        in_transaction(function()
            for _, row_number in ipairs(rows) do
                space:delete({generation, row_number})
            end
        end)
        if #rows == COLLECTED_AT_ONCE then
            return false
        end
        box.space.FEATURE_PIECES:update({generation, piece}, {
            {'=', 'FIRST_ROW', box.NULL}, {'=', 'LAST_ROW', box.NULL}, {'=', 'ROW_COUNT', 0}, {'=', 'BYTES', 0},
        })
        return true
    end)
end

-- As append(), for a piece: rows numbered from first to last, above those of lower pieces and below those of higher.
function M.append_piece(generation, piece, attempt, first, last, tuples, lengths)
    return alone(generation, piece, function()
        local record, note = attempted(generation, piece, attempt)
        for _, other in ipairs(box.space.FEATURE_PIECES:select({generation})) do
            if other.FIRST_ROW ~= nil and ((other.PIECE < piece and other.LAST_ROW >= first)
                or (other.PIECE > piece and other.FIRST_ROW <= last)) then
                refuse(OUT_OF_ORDER, ('rows %s to %s of piece %d, rows %s to %s of piece %d'):format(
                    first, last, piece, other.FIRST_ROW, other.LAST_ROW, other.PIECE))
            end
        end
        local start = first
        if note.FIRST_ROW ~= nil then
            start = note.FIRST_ROW
        end
        box.space.FEATURE_PIECES:update({generation, piece}, {{'=', 'FIRST_ROW', start}, {'=', 'LAST_ROW', last}})
        renew(record)
        insert(generation, box.space[record.SPACE_ID], tuples, lengths)
        return true
    end)
end

-- Notes that all rows of a piece are written, and ends this session's lease.
function M.end_piece(generation, piece, attempt, row_count, bytes)
    attempted(generation, piece, attempt)
    box.space.FEATURE_PIECES:update({generation, piece}, {
        {'=', 'ROW_COUNT', row_count}, {'=', 'BYTES', bytes}, {'=', 'WRITTEN', true},
    })
    M.release(generation)
end

-- Makes a load the content of its batch. Returns its number of rows; if pieces are missing, nil and the numbers of the
-- written ones; false if the load is not open any more.
function M.commit_load(generation, arrow_schema, fingerprints)
    local record = open_load(generation)
    if record == nil then
        return false
    end
    local row_count, bytes, written = 0, 0, {}
    for _, piece in ipairs(box.space.FEATURE_PIECES:select({generation})) do
        if piece.WRITTEN then
            row_count, bytes = row_count + piece.ROW_COUNT, bytes + piece.BYTES
            table.insert(written, piece.PIECE)
        end
    end
    if #written < record[PIECES] then
        return nil, written
    end
    in_transaction(function()
        box.space.FEATURE_BATCHES:replace({
            record.TABLE_NAME, record.BATCH, generation, row_count, bytes, arrow_schema, fingerprints,
        })
        close_load(generation)
    end)
    return row_count
end

-- Closes a load; its rows are then collected like any others.
function M.abandon_load(generation)
    if open_load(generation) ~= nil then
        in_transaction(function() close_load(generation) end)
    end
end

-- Ends this session's lease.
function M.release(generation)
    local sessions = shared.leases[generation]
    if sessions ~= nil then
        sessions[box.session.id()] = nil
    end
end

local function is_current(record)
    local batch = box.space.FEATURE_BATCHES:get({record.TABLE_NAME, record.BATCH})
    return batch ~= nil and batch.GENERATION == record.GENERATION
end

-- Deletes some rows of a generation; true when there are no more.
local function delete_rows(space, generation)
    local rows = space:select({generation}, {limit = COLLECTED_AT_ONCE})
    in_transaction(function()
        for _, row in ipairs(rows) do
            space:delete({generation, row[2]})
        end
    end)
    return #rows < COLLECTED_AT_ONCE
end

-- Deletes rows of generations that no batch points to and no open session or load uses; true when there are no more.
-- A load that was not renewed for stale_after seconds is dead.
function M.collect(table_name, stale_after)
    if box.space.FEATURE_GENERATIONS == nil then
        return true
    end
    local left = COLLECTIONS_PER_CALL
    for _, record in ipairs(box.space.FEATURE_GENERATIONS.index.by_table:select(table_name)) do
        local generation, space = record.GENERATION, box.space[record.SPACE_ID]
        local living = (record[RENEWED] or 0) > fiber.time() - stale_after
        if not living and not is_leased(generation) and not is_current(record) then
            M.abandon_load(generation)
            local done = space == nil
            while not done do
                if left == 0 then
                    return false
                end
                left = left - 1
                done = delete_rows(space, generation)
            end
            if generation ~= box.space.FEATURE_GENERATIONS.index.pk:max().GENERATION then
                box.space.FEATURE_GENERATIONS:delete(generation)
            end
        end
    end
    return true
end

-- Makes a batch absent; whether it was there.
function M.forget(table_name, batch)
    return box.space.FEATURE_BATCHES ~= nil and box.space.FEATURE_BATCHES:delete({table_name, batch}) ~= nil
end

-- The current generation of a batch, leased to this session, with the arguments that flip() got; nil without one.
function M.hold(table_name, batch)
    local current = box.space.FEATURE_BATCHES and box.space.FEATURE_BATCHES:get({table_name, batch})
    local record = current and box.space.FEATURE_GENERATIONS:get(current.GENERATION)
    if record == nil or box.space[record.SPACE_ID] == nil then
        return nil
    end
    lease(current.GENERATION)
    return current.GENERATION, record.SPACE_ID, current.ROW_COUNT, current.BYTES, current.ARROW_SCHEMA,
        current[FINGERPRINTS]
end

package.loaded[module_name] = M
