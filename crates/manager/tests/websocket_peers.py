"""WebSocket by websocket-client and websockets: `websocket_peers.py client URL`, or `websocket_peers.py server`."""

import sys
import threading

import websocket
import websockets.sync.client
import websockets.sync.server
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

LARGE = "grün " * 400_000
PAYLOADS = ["", "x", "ü", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536, LARGE]


def by_websocket_client(url: str) -> None:
    ws = websocket.create_connection(url, timeout=60, subprotocols=["chat"])
    assert ws.getsubprotocol() == "chat"
    for payload in PAYLOADS:
        ws.send(payload)
        assert ws.recv() == payload, len(payload)
        ws.send_binary(payload.encode())
        assert ws.recv() == payload.encode(), len(payload)
    ws.ping("are you there")
    opcode, frame = ws.recv_data_frame(control_frame=True)
    assert (opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    # Fragments, and a ping amid them.
    frames = [("frag", websocket.ABNF.OPCODE_TEXT, 0), ("ment", websocket.ABNF.OPCODE_CONT, 1)]
    for index, (data, opcode, fin) in enumerate(frames):
        ws.send_frame(websocket.ABNF(fin, 0, 0, 0, opcode, 1, data))
        if index == 0:
            ws.ping("amid")
    opcode, _ = ws.recv_data_frame(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_PONG
    assert ws.recv() == "fragment"
    ws.send("close me")
    opcode, data = ws.recv_data()
    assert (opcode, data) == (websocket.ABNF.OPCODE_CLOSE, b"\x0f\xa0as you wish"), data
    ws.close()


def by_websockets(url: str) -> None:
    # It offers permessage-deflate, which is not taken.
    with websockets.sync.client.connect(url, max_size=None) as ws:
        for payload in PAYLOADS:
            ws.send(payload)
            assert ws.recv(timeout=60) == payload, len(payload)
        ws.send(["in", "", " many ", "pieces"])
        assert ws.recv(timeout=60) == "in many pieces"
        assert ws.ping("here").wait(60)
        ws.send("close me")
        try:
            ws.recv(timeout=60)
            raise AssertionError("it is open")
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "as you wish"), closed
    with websockets.sync.client.connect(url) as ws:
        ws.close(3000, "our turn")
        assert (ws.protocol.close_code, ws.protocol.close_rcvd.code) == (3000, 3000)


def handler(ws: websockets.sync.server.ServerConnection) -> None:
    try:
        for message in ws:
            if message == "close me":
                ws.close(4000, "as you wish")
                return
            if message == "pieces":
                ws.send(["in", " many ", "pieces"])
                continue
            ws.ping("amid")
            ws.send(message)
    except ConnectionClosed:
        pass


def server() -> None:
    with websockets.sync.server.serve(handler, "127.0.0.1", 0, max_size=None) as listening:
        print(listening.socket.getsockname()[1], flush=True)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        sys.stdin.read()
        listening.shutdown()


if sys.argv[1] == "server":
    server()
else:
    assert Opcode.TEXT == websocket.ABNF.OPCODE_TEXT
    by_websocket_client(sys.argv[2])
    by_websockets(sys.argv[2])
    print("all is well")
