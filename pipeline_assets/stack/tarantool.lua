-- A server in the current folder; its environment says where it listens and how much it may hold.
-- Speaks once it serves, so that whoever reads its output need not ask.
box.cfg{
    listen = '127.0.0.1:' .. os.getenv('LISTEN_PORT'),
    memtx_memory = tonumber(os.getenv('MEMTX_MEMORY')),
    vinyl_memory = 64 * 1024 * 1024,
    log = os.getenv('LOG_FILE'),
}
box.schema.user.passwd('admin', os.getenv('ADMIN_PASSWORD'))
print(box.info.listen:match('%d+$'))
io.flush()
