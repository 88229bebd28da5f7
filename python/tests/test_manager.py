"""The Manager, from outside."""

import http.client

from exeunt.mongoose import MG_EV_HTTP_MSG, Connection, Manager


def test_a_request_is_answered() -> None:
    done = []

    def handler(conn: Connection, ev: int, data: object) -> None:
        if ev == MG_EV_HTTP_MSG:
            conn.reply(200, b"hello")
            done.append(ev)

    manager = Manager(handler)
    listener = manager.listen("http://127.0.0.1:0")
    assert listener.local_addr is not None
    client = http.client.HTTPConnection("127.0.0.1", listener.local_addr[1], timeout=10)
    client.connect()
    client.putrequest("GET", "/")
    client.endheaders()
    while not done:
        manager.poll(1000)
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (200, b"hello")
    client.close()
    manager.close()
    assert manager._freed
