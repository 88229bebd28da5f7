from exeunt.mongoose import MG_EV_HTTP_MSG, Manager

def handler(conn, ev, data):
    if ev == MG_EV_HTTP_MSG:
        conn.reply(200, b'{"ok":true}')

manager = Manager(handler)
manager.listen('http://0.0.0.0:8000', http=True)

# DON'T: May not catch Ctrl+C reliably
try:
    while True:
        manager.poll(100) # GIL released - signals deferred
except KeyboardInterrupt:
    pass
