"""`tracemill doctor`: what it finds is true, what it suggests helps, and no secret leaves it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import yaml

from campaign import run
from tracemill.recipe_file import recipe_from
from tracemill.report.doctor import EXTRAS, Examination, Package, doctor
from tracemill.testing import Answer, Emulated, Faults, ScriptedServer, emulated_server
from tracemill.testing.connection import Response

ROOT = Path(__file__).resolve().parents[2]
SECRET = 'sk-"canary"/77'


def tree(url: str, model: str, mode: str = "both", **teacher: object) -> dict:
    return {
        "name": "d",
        "license": "MIT",
        "prompts": {"path": "p.jsonl"},
        "teachers": {"main": {"url": url, "model": model, **teacher}},
        "respond": {"reasoning": mode},
    }


def seen(told: dict):
    """What doctor says of the recipe's one teacher."""
    (teacher,) = doctor(recipe_from(told, "d.yaml")).teachers
    return teacher


def with_lines(told: dict, lines: tuple[str, ...]) -> dict:
    """The recipe, with what doctor suggests written into it."""
    new = yaml.safe_load("\n".join(lines)) or {}
    main = {**told["teachers"]["main"], **new.get("teachers", {}).get("main", {})}
    respond = {**told["respond"], **new.get("respond", {})}
    mode = {True: "on", False: "off"}.get(respond["reasoning"], respond["reasoning"])
    return {**told, "teachers": {"main": main}, "respond": {"reasoning": mode}}


@pytest.mark.parametrize(
    ("kind", "model", "family"),
    [
        ("vllm", "Qwen/Qwen3-8B", "qwen3"),
        ("vllm", "nvidia/Llama-3_3-Nemotron-Super-49B-v1", "nemotron-v1"),
        ("vllm-old", "deepseek-ai/DeepSeek-V3.1", "deepseek-v3"),
        ("vllm-old", "deepseek-ai/DeepSeek-R1", "deepseek-r1"),
        ("sglang", "ibm-granite/granite-3.3-8b-instruct", "granite-3"),
        ("llama.cpp", "nvidia_NVIDIA-Nemotron-Nano-9B-v2", "nemotron-nano-v2"),
        ("llama.cpp", "openai/gpt-oss-20b", "gpt-oss"),
        ("ollama", "qwen3:8b", "qwen3"),
        ("ollama", "deepseek-v3.1:671b", "deepseek-v3"),
        ("openai", "o3-mini", "openai-o"),
        ("openai", "gpt-5.1", "gpt-5.1"),
    ],
)
def test_what_is_suggested_makes_it_right(kind, model, family):
    with emulated_server(kind, {model: Emulated(family)}) as server:
        told = tree(server.url, model)
        before = seen(told)
        if family == "qwen3" and kind == "vllm":
            assert (before.ok, before.recipe_lines) == (True, ())
            return
        assert not before.ok
        assert not before.down
        after = seen(with_lines(told, before.recipe_lines))
        assert (after.ok, after.recipe_lines) == (True, ()), after


@pytest.mark.parametrize("field", ["seed", "max_tokens", "top_p"])
def test_a_refused_field_is_named_and_how_to_leave_it_out(field):
    with emulated_server("vllm", {"qwen3": Emulated("qwen3")}, refuses=(field,)) as server:
        told = tree(server.url, "qwen3")
        before = seen(told)
        assert f"refused: `{field}`" in [finding.text for finding in before.findings]
        again = seen(with_lines(told, before.recipe_lines))
        assert again.ok is (field != "top_p"), "a sampling setting is for the user to change"


def test_no_more_than_two_answers_are_paid_for():
    with emulated_server("openai", {"o3-mini": Emulated("openai-o")}) as server:
        seen(tree(server.url, "o3-mini"))
        assert server.stats().statuses[200] == 2
        assert server.stats().statuses[400] == 3
        sent = [body for body in server.requests if "max_completion_tokens" in body]
        assert {body["max_completion_tokens"] for body in sent} == {512}


@pytest.mark.parametrize(
    ("form", "where"),
    [("parsed", "the field `reasoning`"), ("raw", "content: <think>"), ("parts", "parts of the content")],
)
def test_it_says_where_the_trace_was(form, where):
    with emulated_server("vllm", {"m": Emulated("qwen3", form)}) as server:
        texts = [finding.text for finding in seen(tree(server.url, "m")).findings]
    assert any(text.startswith(f"reasoning on: a trace came, in {where}") for text in texts), texts


def test_a_reply_that_was_cut_says_nothing_about_obeying():
    with ScriptedServer(lambda body: Answer("Seventeen and", None, finish_reason="length"), models=["m"]) as server:
        teacher = seen(tree(server.url, "m", "on"))
    assert [f.ok for f in teacher.findings if f.text.startswith("reasoning on")] == [None]
    assert teacher.ok


def test_an_answer_in_the_place_of_a_trace_is_told():
    with emulated_server("vllm", {"qwen3": Emulated("qwen3", "swapped")}) as server:
        texts = [finding.text for finding in seen(tree(server.url, "qwen3")).findings]
    assert any("a trace came all the same" in text and "with no answer beside it" in text for text in texts), texts


def test_a_model_that_is_not_served_is_told_with_those_that_are():
    models = {f"m{number}": Emulated("qwen3") for number in range(9)}
    with emulated_server("vllm", models) as server:
        teacher = seen(tree(server.url, "other\x1b[2J"))
    texts = " ".join(finding.text for finding in teacher.findings)
    assert "there are: 'm0', 'm1', 'm2', 'm3', 'm4' and 4 more" in texts
    assert "\x1b" not in texts
    assert teacher.advice == ("take a model that the endpoint lists",)


def test_a_wrong_path_is_told_as_that():
    with emulated_server("vllm", {"m": Emulated("qwen3")}) as server:
        teacher = seen(tree(server.url.removesuffix("/v1"), "m"))
    assert not teacher.ok
    assert any("/v1" in text for text in teacher.advice)


def test_the_builtin_teacher_needs_no_asking():
    told = tree("builtin", "b")
    assert seen(told).ok


@pytest.mark.parametrize(
    "kind", ["error_500", "error_502", "throttle", "unauthorized", "html", "malformed", "no_choices"]
)
def test_whatever_comes_back_is_told(kind):
    with ScriptedServer(lambda body: Answer("4"), faults=Faults(rates={kind: 1.0}), models=["m"]) as server:
        teacher = seen(tree(server.url, "m"))
    assert not teacher.ok
    assert teacher.down is (kind in ("error_500", "error_502", "throttle", "unauthorized"))


def recipe_file(path: Path, told: dict) -> Path:
    path.write_text(json.dumps(told))
    return path


def echo(body: dict) -> Response:
    return Response(401, orjson.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}."}}))


def test_a_refused_key_is_exit_5_and_not_repeated(tmp_path):
    with ScriptedServer(echo, models=[SECRET]) as server:
        file = recipe_file(tmp_path / "r.yaml", tree(server.url, "m", api_key="${env:CANARY}"))
        for options in ([], ["--json"]):
            done = run("doctor", file, *options, env={"CANARY": SECRET})
            assert done.returncode == 5
            assert "HTTP 401" in done.stdout
            assert "canary" not in done.stdout + done.stderr


def test_an_endpoint_that_is_down_is_exit_5_in_clear_words(tmp_path):
    with emulated_server("vllm", {"m": Emulated("qwen3")}) as server:
        url = server.url
    file = recipe_file(tmp_path / "r.yaml", tree(url, "m"))
    done = run("doctor", file)
    assert done.returncode == 5
    assert "cannot be asked: no connection" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    told = json.loads(run("doctor", file, "--json").stdout)
    assert told["exit_code"] == 5
    assert told["teachers"][0]["down"] is True


def test_the_exit_code_says_what_was_found(tmp_path):
    with emulated_server("ollama", {"qwen3": Emulated("qwen3")}) as server:
        file = recipe_file(tmp_path / "r.yaml", tree(server.url, "qwen3"))
        assert run("doctor", file).returncode == 1
        right = run("doctor", file, "--set", "teachers.main.server=ollama", "--json")
    assert right.returncode == 0
    assert json.loads(right.stdout)["teachers"][0]["ok"] is True


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["doctor", "nowhere.yaml"], 3),
        (["doctor", "--set", "seed=1"], 2),
        (["doctor"], 0),
        (["doctor", "--json"], 0),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_a_call_exits_as_the_contract_says(words, code):
    assert run(*words).returncode == code


def test_a_secret_that_is_not_set_is_the_recipes_fault(tmp_path):
    file = recipe_file(tmp_path / "r.yaml", tree("http://127.0.0.1:9/v1", "m", api_key="${env:NO_SUCH_KEY}"))
    done = run("doctor", file)
    assert done.returncode == 3
    assert "NO_SUCH_KEY is not set" in done.stderr


def test_every_dependency_and_extra_of_the_project_is_looked_at():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) <= set(EXTRAS), "say in EXTRAS what it is for"
    found = doctor()
    names = {package.name for package in found.packages if package.extra is None}
    assert names >= {"orjson", "pyarrow", "pydantic"}
    assert all(package.found for package in found.packages if package.extra is None)
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("package", "ok", "code", "line"),
    [
        (Package("pyarrow", ">=26", "26.0.1", None), True, 0, "pyarrow 26.0.1"),
        (Package("pyarrow", ">=26", "9.1", None), False, 2, "pyarrow 9.1, >=26 is needed"),
        (Package("pyarrow", ">=26", None, None), False, 2, "pyarrow is not installed, >=26 is needed"),
        (Package("datasets", ">=5", None, "hub"), False, 0, "missing: datasets."),
        (Package("types-PyYAML", "", "6.0", "dev"), True, 0, "[dev]"),
    ],
    ids=str,
)
def test_a_package_counts_by_who_needs_it(package, ok, code, line):
    found = Examination("3.11.7", (package,))
    assert (package.ok, found.exit_code) == (ok, code)
    assert line in found.to_text()
    assert ("pip install 'tracemill[hub]'" in found.to_text()) is (package.extra == "hub")
    assert found.to_json()["install"].keys() == ({"hub"} if package.extra == "hub" else set())


def test_a_dead_teacher_beside_a_good_one_is_exit_5():
    with emulated_server("vllm", {"qwen3": Emulated("qwen3")}) as server:
        told = tree(server.url, "qwen3")
        told["teachers"]["other"] = {"url": "http://127.0.0.1:9/v1", "model": "m"}
        found = doctor(recipe_from(told, "d.yaml"))
    assert [teacher.ok for teacher in found.teachers] == [True, False]
    assert found.exit_code == 5
    assert replace(found, teachers=found.teachers[:1]).exit_code == 0


def test_each_endpoint_of_a_teacher_is_asked():
    with emulated_server("vllm", {"qwen3": Emulated("qwen3")}) as one, emulated_server("vllm", {}) as other:
        found = doctor(recipe_from(tree(one.url, "qwen3", replicas=[{"url": other.url}]), "d.yaml"))
    assert [(teacher.url, teacher.ok) for teacher in found.teachers] == [(one.url, True), (other.url, False)]


def test_a_row_of_the_recipe_is_used():
    own = {"servers": {"ours": {"template": None, "reasoning_on": {}, "reasoning_off": {"reasoning_effort": "none"}}}}
    with emulated_server("ollama", {"qwen3": Emulated("qwen3")}) as server:
        assert seen({**tree(server.url, "qwen3", server="ours"), "dialects": own}).ok
