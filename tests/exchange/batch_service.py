"""A batch service: answers the lines of a batch input file with what a real server says, and does to them what batches do."""

from __future__ import annotations

import http.client
import random
from pathlib import Path

import orjson

from campaign import answers, problem_recipe, write_jsonl
from tracemill.testing import ScriptedServer


def read(path: Path) -> list[dict]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def asked(server: ScriptedServer, bodies: list[dict]) -> list[dict]:
    """The server's replies to some bodies."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    out = []
    for body in bodies:
        connection.request("POST", "/v1/chat/completions", orjson.dumps(body), {"content-type": "application/json"})
        out.append(orjson.loads(connection.getresponse().read()))
    connection.close()
    return out


def answered(lines: list[dict], table, form: str = "openai") -> list[dict]:
    """The output lines of a batch that went well."""
    with ScriptedServer(answers(table)) as server:
        replies = asked(server, [line["body"] for line in lines])
    return [output(line["custom_id"], reply, form) for line, reply in zip(lines, replies, strict=True)]


def output(custom_id: str, body: dict, form: str = "openai") -> dict:
    request_id = "vllm-batch-1" if form == "vllm" else "req_1"
    return {
        "id": f"{form}-{custom_id[:9]}",
        "custom_id": custom_id,
        "response": {"status_code": 200, "request_id": request_id, "body": body},
        "error": None,
    }


def expired(custom_id: str) -> dict:
    error = {"code": "batch_expired", "message": "This request could not be executed in time."}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": None, "error": error}


def cancelled(custom_id: str) -> dict:
    return {"custom_id": custom_id, "response": None, "error": {"code": "batch_cancelled", "message": "Cancelled."}}


def refused(custom_id: str, form: str = "openai") -> dict:
    """A request that the service refused: the error stands in the body, or beside a response without one."""
    error = {"message": "too long", "type": "BadRequestError", "code": 400}
    if form == "vllm":
        return {
            "custom_id": custom_id,
            "response": {"status_code": 400, "request_id": "v", "body": None},
            "error": error,
        }
    return {"custom_id": custom_id, "response": {"status_code": 400, "body": {"error": error}}, "error": None}


def disturbed(lines: list[dict], seed: int, lost: float, repeated: int) -> tuple[list[dict], set[str]]:
    """Shuffled, some lines lost and replaced by errors, some repeated; and the custom_ids that have no answer left."""
    draw = random.Random(seed)
    gone = draw.sample(range(len(lines)), int(len(lines) * lost))
    kept = [line for n, line in enumerate(lines) if n not in gone]
    without = [lines[n]["custom_id"] for n in gone]
    errors = [make(name) for name, make in zip(without, (expired, cancelled, refused), strict=False)]
    kept += draw.sample(kept, repeated) + errors
    draw.shuffle(kept)
    return kept, set(without)


def write(path: Path, lines: list[dict]) -> Path:
    return write_jsonl(path, lines)


def recipe_for(folder: Path, url: str, **more: object) -> Path:
    return problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", url, **more)
