from exeunt.mongoose import Manager, MG_EV_HTTP_MSG

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)

manager.close()
manager.poll(100)  # [X] RuntimeError: Manager has been freed
