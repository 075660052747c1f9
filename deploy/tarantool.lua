-- The Tarantool server of compose.yaml: data in the current folder, one login with the rights that the store needs.
box.cfg{listen = '0.0.0.0:' .. os.getenv('TARANTOOL_PORT'), memtx_memory = 512 * 1024 * 1024}
local login = os.getenv('TARANTOOL_LOGIN')
box.schema.user.create(login, {if_not_exists = true})
box.schema.user.passwd(login, os.getenv('TARANTOOL_PASSWORD'))
box.schema.user.grant(login, 'execute', 'universe', nil, {if_not_exists = true})
box.schema.user.grant(login, 'read,write,create', 'space', nil, {if_not_exists = true})
print('ready')
io.flush()
