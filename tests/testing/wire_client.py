"""Clients that ask a scripted server, for the tests beside this file."""

import asyncio
import http.client
import json
import socket
import time

import aiohttp

from tracemill.testing import Answer


def body(question="What is 2 + 2?", **more):
    return {"model": "m", "messages": [{"role": "user", "content": question}], "max_tokens": 100, **more}


def say(content="four", **more):
    return lambda asked: Answer(content, **more)


def post(server, asked, timeout=5):
    """Status, headers and body of the response, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(asked))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def choice(server, asked):
    status, _, raw = post(server, asked)
    assert status == 200, raw
    return json.loads(raw)["choices"][0]


def raw_request(asked, path="/v1/chat/completions"):
    data = json.dumps(asked).encode()
    return b"POST %s HTTP/1.1\r\nHost: x\r\ncOnTeNt-LeNgTh: %d\r\n\r\n%s" % (path.encode(), len(data), data)


def dial(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def read_all(sock):
    chunks = []
    while chunk := sock.recv(1 << 20):
        chunks.append(chunk)
    return b"".join(chunks)


def eventually(holds, seconds=5.0):
    end = time.monotonic() + seconds
    while not (value := holds()) and time.monotonic() < end:
        time.sleep(0.005)
    return value


def wait_ended(server, count=1):
    """The events once `count` requests have ended: the client may have its bytes before the server notes it."""
    assert eventually(lambda: sum(e.event != "received" for e in server.log) >= count), server.log
    return server.log


async def post_all(server, bodies, connections):
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(asked):
            async with session.post(f"{server.url}/chat/completions", json=asked) as response:
                return response.status, await response.json()

        return await asyncio.gather(*map(one, bodies))
