"""What is gleaned is what TRL's own trainers read: real ones, with a model and a tokenizer made here.

TRL is in no extra, so this is run by hand: last with trl 1.16.0 and torch 2.13.0 on a CPU.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files

import pytest

from glean.mixed import answered, tree_over
from tracemill.engines.inline import InlineEngine
from tracemill.glean.run import glean
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.testing import ScriptedServer

trl = pytest.importorskip("trl", reason="trl is not installed; it is in no extra, this is run by hand")
pytestmark = pytest.mark.filterwarnings("ignore")
"""What torch and transformers warn of is not ours."""
WITH_TOOLS = "gptoss glm4moe llama3_1 nemotron_3_nano qwen2_5 qwen3 qwen3_5_think".split()
"""Chat templates that TRL brings. Given arguments as text some of them write it twice over, and some fail; some fail where
a message without calls has the key for them."""


@pytest.fixture(scope="module")
def gleaned(tmp_path_factory):
    """load(kind): a by-product of a run, as `datasets` reads it."""
    import datasets

    folder = tmp_path_factory.mktemp("trl")
    with ScriptedServer(answered) as server:
        tree = tree_over(folder, server.url)
        build(recipe_from(tree, "the test's recipe"), folder / "run", engine=InlineEngine())
    glean(folder / "run", folder / "gleaned")

    def load(kind):
        return datasets.load_dataset(str(folder / "gleaned"), kind, split="train", cache_dir=str(folder / "cache"))

    return load


def template(name):
    return (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tokenizer():
    """Bytes as tokens, with Qwen 3's marks of turns and its template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|pad|>")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.chat_template = template("qwen3")
    return made


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    """Where a model of one small layer lies, drawn at random."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("model")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **sizes, **heads)).save_pretrained(folder)
    return str(folder)


def settings(folder, **more):
    quiet = {"report_to": "none", "use_cpu": True, "bf16": False, "disable_tqdm": True, "save_strategy": "no"}
    return {"output_dir": str(folder), "max_steps": 1, "gradient_checkpointing": False, **quiet, **more}


@pytest.mark.parametrize("kind", ["preference", "preference_tools"])
def test_pairs_train_by_dpo(gleaned, tokenizer, model, tmp_path, kind):
    """Each token of a pair is looked at: the prompt, the trace, the answer, calls and their results."""
    pairs = gleaned(kind)
    args = trl.DPOConfig(**settings(tmp_path, per_device_train_batch_size=2, max_length=None))
    trainer = trl.DPOTrainer(model=model, args=args, train_dataset=pairs, processing_class=tokenizer)
    read = trainer.train_dataset
    assert len(read) == len(pairs) > 5
    for row, pair in zip(read, pairs, strict=True):
        prompt = tokenizer.decode(row["prompt_ids"])
        assert prompt.endswith("<|im_start|>assistant\n")
        assert all(turn["content"] in prompt for turn in pair["prompt"])
        for tool in json.loads(pair.get("tools") or "[]"):
            assert f'"name": "{tool["function"]["name"]}"' in prompt
        for half in ("chosen", "rejected"):
            said = tokenizer.decode(row[f"{half}_ids"])
            assert said.rstrip().endswith("<|im_end|>")
            trace, _, answer = pair[half][-1]["content"].rpartition("</think>")
            assert answer.strip() in said
            assert trace.removeprefix("<think>").strip() in said
            for turn in pair[half]:
                for call in turn.get("tool_calls") or ():
                    assert json.dumps(call["function"]["arguments"]) in said
                    assert set(call["function"]["arguments"]) == {"member_id", "book_id"}
        assert row["chosen_ids"] != row["rejected_ids"]
    loss = trainer.train().training_loss
    assert math.isfinite(loss)
    assert loss > 0


@pytest.mark.parametrize("name", WITH_TOOLS)
def test_calls_are_written_once_by_templates_of_all_kinds(gleaned, tokenizer, name):
    for pair in gleaned("preference_tools").select(range(4)):
        text = trl.apply_chat_template(
            {key: pair[key] for key in ("prompt", "chosen", "rejected")},
            tokenizer,
            tools=json.loads(pair["tools"]),
            chat_template=template(name),
        )["chosen"]
        arguments = pair["chosen"][0]["tool_calls"][0]["function"]["arguments"]
        for key, value in arguments.items():
            assert key in text
            assert value in text
            assert f'\\"{key}' not in text, "text that is written as JSON once more would be escaped"


def test_pairs_become_single_answers(gleaned):
    pairs = gleaned("preference")
    single = trl.unpair_preference_dataset(pairs.select_columns(["prompt", "chosen", "rejected"]))
    assert len(single) == 2 * len(pairs)
    assert sum(single["label"]) == len(pairs)
    assert trl.data_utils.maybe_extract_prompt(pairs[0])["prompt"] == pairs[0]["prompt"]


def test_prompts_train_by_grpo_with_their_answers(gleaned, tokenizer, model, tmp_path):
    prompts = gleaned("prompts").filter(lambda row: row["category"] == "math")
    seen = []

    def reward(prompts, completions, answer, pass_rate, **_):
        seen.extend(zip(prompts, answer, pass_rate, strict=True))
        return [float(len(completion[0]["content"])) for completion in completions]

    args = settings(tmp_path, per_device_train_batch_size=2, num_generations=2, max_completion_length=4)
    trainer = trl.GRPOTrainer(
        model=model, reward_funcs=reward, args=trl.GRPOConfig(**args), train_dataset=prompts, processing_class=tokenizer
    )
    assert math.isfinite(trainer.train().training_loss)
    known = {row["prompt"][-1]["content"]: (row["answer"], row["pass_rate"]) for row in prompts}
    assert seen
    for prompt, *told in seen:
        assert known[prompt[-1]["content"]] == tuple(told)
