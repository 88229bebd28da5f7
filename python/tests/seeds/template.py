from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

url = 'http://0.0.0.0:8000'
shutdown = False

manager = Manager(handler)
manager.listen(url, http=True)

try:
    while not shutdown:
        manager.poll(100)
finally:
    manager.close()
