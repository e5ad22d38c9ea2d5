"""Reads the JSON messages that a ComfyUI server sends to one client: RFC 6455, the receiving half."""

import base64
import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

TEXT, CLOSE = 1, 8
LENGTH_BYTES = {126: 2, 127: 8}


def messages(port: int, client_id: str, token: str = "", *, tick: float = 1.0) -> Iterator[dict[str, Any] | None]:
    """Yield each JSON message, and None whenever `tick` seconds went by without one; end when the server hangs up."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        received = _shake_hands(connection, port, client_id, token)
        connection.settimeout(tick)
        while True:
            while (frame := take_frame(received)) is not None:
                opcode, payload = frame
                if opcode == CLOSE:
                    return
                if opcode == TEXT:
                    yield json.loads(payload)
            try:
                more = connection.recv(65536)
            except TimeoutError:
                yield None
                continue
            if not more:
                return
            received += more


def take_frame(received: bytearray) -> tuple[int, bytes] | None:
    """Cut the first whole frame off `received`; None while it is not all there. Servers do not mask."""
    if len(received) < 2:
        return None
    length, start = received[1] & 0x7F, 2
    if length in LENGTH_BYTES:
        start += LENGTH_BYTES[length]
        length = int.from_bytes(received[2:start], "big")
    if len(received) < start + length:
        return None
    frame = received[0] & 0x0F, bytes(received[start : start + length])
    del received[: start + length]
    return frame


def _shake_hands(connection: socket.socket, port: int, client_id: str, token: str) -> bytearray:
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /ws?clientId={client_id} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    connection.sendall(request.encode())
    answer = bytearray()
    while b"\r\n\r\n" not in answer:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("the server hung up while opening the progress channel")
        answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError("the server offers no progress channel")
    return bytearray(rest)
