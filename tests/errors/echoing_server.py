"""A server that repeats the secrets it was sent, in each way that we could think of."""

from __future__ import annotations

import gzip
import html
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

WAYS = (
    "content", "reasoning", "error_json", "error_html", "error_url", "escaped", "escaped_twice", "shadowed", "chunks",
    "retry_after", "odd_headers", "redirect", "malformed", "parts", "fingerprint", "finish_reason", "tool_call", "key_name",
    "bad_chunk", "reason_phrase", "once_500", "gzip", "usage", "bad_header", "no_scheme", "slashes", "error_text",
)  # fmt: skip
"""How it repeats them; the number in a prompt, "Problem 7:", chooses."""


def reply(content: str, **more: object) -> dict:
    message = {"role": "assistant", "content": content, "reasoning_content": "I think."} | dict(more.pop("message", {}))
    return {"choices": [{"message": message, "finish_reason": "stop"} | dict(more.pop("choice", {}))], **more}


def every_escape(text: str) -> str:
    return "".join(f"\\u{ord(c):04X}" for c in text)


class Handler(BaseHTTPRequestHandler):
    """Answers one request in the way that its prompt asks for."""

    protocol_version = "HTTP/1.1"
    deny = ""
    seen: set[str]

    def do_POST(self) -> None:
        told = self.rfile.read(int(self.headers["content-length"])).decode()
        sent = {
            k: v
            for k, v in self.headers.items()
            if k.lower() in ("authorization", "x-token", "cookie", "x-login", "x-quoted")
        }
        heard = " ".join(sent.values())
        if self.deny == "model":
            self.good(model=heard)
            return
        if self.deny == "key":
            self.answer(401, json.dumps({"error": {"message": f"bad credentials {heard}", "sent": sent}}))
            return
        number = int(re.search(r"Problem (\d+):", told)[1])
        way = WAYS[number % len(WAYS)]
        again = told in self.seen
        self.seen.add(told)
        getattr(self, way)(heard, sent, again)

    def answer(self, status: int, body: str | bytes, headers: dict | None = None, reason: str | None = None) -> None:
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status, reason)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def good(self, content: str = "", **more: object) -> None:
        self.answer(200, json.dumps(reply(f"{content} \\boxed{{4}}", **more)))

    def content(self, heard, sent, again):
        self.good(f"You said {heard}.")

    def reasoning(self, heard, sent, again):
        self.good(message={"reasoning_content": f"They sent {heard}."})

    def error_json(self, heard, sent, again):
        self.answer(400, json.dumps({"error": {"message": heard, "headers": sent}}))

    def error_html(self, heard, sent, again):
        self.answer(400, f"<p>{html.escape(heard)} {''.join(f'&#{ord(c)};' for c in heard)}</p>")

    def error_url(self, heard, sent, again):
        self.answer(400, f"/login?next={quote(heard, safe='')}&raw={''.join(f'%{ord(c):02x}' for c in heard)}")

    def escaped(self, heard, sent, again):
        self.answer(200, json.dumps(reply("HERE \\boxed{4}")).replace("HERE", every_escape(heard)))

    def escaped_twice(self, heard, sent, again):
        self.good(json.dumps({"inner": json.dumps({"sent": heard}), "all": every_escape(heard)}))

    def shadowed(self, heard, sent, again):
        raw = json.dumps(reply("\\boxed{4}"))
        self.answer(200, raw.replace('{"choices"', f'{{"id": {json.dumps(heard)}, "id": "x", "choices"', 1))

    def chunks(self, heard, sent, again):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for letter in json.dumps(reply(f"{heard} \\boxed{{4}}")):
            self.wfile.write(f"1\r\n{letter}\r\n".encode())
        self.wfile.write(b"0\r\n\r\n")

    def retry_after(self, heard, sent, again):
        if again:
            self.good(f"late {heard}")
        else:
            self.answer(429, heard, {"Retry-After": heard})

    def odd_headers(self, heard, sent, again):
        self.answer(400, "{}", {"X-Echo": heard, "Set-Cookie": heard, "Content-Type": heard})

    def redirect(self, heard, sent, again):
        self.answer(307, "", {"Location": f"http://elsewhere/?key={heard}"})

    def malformed(self, heard, sent, again):
        self.answer(200, f'{{"choices": [{{"message": "{heard}')

    def parts(self, heard, sent, again):
        pieces = [heard[i : i + 3] for i in range(0, len(heard), 3)]
        self.good(message={"content": [{"type": "text", "text": piece} for piece in [*pieces, " \\boxed{4}"]]})

    def fingerprint(self, heard, sent, again):
        self.good(id=heard, system_fingerprint=heard, model="m")

    def finish_reason(self, heard, sent, again):
        self.good(choice={"finish_reason": heard})

    def tool_call(self, heard, sent, again):
        call = {"id": heard, "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": heard})}}
        self.good(message={"tool_calls": [call]})

    def key_name(self, heard, sent, again):
        self.answer(400, json.dumps({"error": {heard: heard}}))

    def bad_chunk(self, heard, sent, again):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(f"{heard}\r\n".encode())
        self.close_connection = True

    def reason_phrase(self, heard, sent, again):
        self.answer(400, "{}", reason=heard)

    def once_500(self, heard, sent, again):
        if again:
            self.good("well")
        else:
            self.answer(500, heard)

    def gzip(self, heard, sent, again):
        self.answer(
            200, gzip.compress(json.dumps(reply(f"{heard} \\boxed{{4}}")).encode()), {"Content-Encoding": "gzip"}
        )

    def usage(self, heard, sent, again):
        self.good(usage={"prompt_tokens": heard, "completion_tokens": 5, heard: heard})

    def bad_header(self, heard, sent, again):
        self.wfile.write(f"HTTP/1.1 200 OK\r\n{heard}\x00 {heard}\r\n\r\n".encode())
        self.close_connection = True

    def no_scheme(self, heard, sent, again):
        self.good(
            " and ".join(
                value.split(" ", 1)[-1].partition("=")[2] or value.split(" ", 1)[-1] for value in sent.values()
            )
        )

    def slashes(self, heard, sent, again):
        self.answer(400, json.dumps({"error": heard}).replace("/", "\\/"))

    def error_text(self, heard, sent, again):
        self.answer(403, f"{heard!r} {heard!a} {heard}")

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 512


@contextmanager
def echoing(deny: str = ""):
    """The base URL of such a server; with `deny` it refuses the "key", or answers with another "model"."""
    handler = type("OneServer", (Handler,), {"deny": deny, "seen": set()})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
