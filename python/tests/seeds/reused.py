from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

# BAD: Manager is single-use
manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)
manager.close()

manager.listen('http://0.0.0.0:8001', http=True)  # [X] RuntimeError!
