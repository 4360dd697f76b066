"""bespokelabs-curator over some prompts; runs in curator's own environment, started by `bench.peers`.

    python -P bench/peer_curator.py http://127.0.0.1:40123/v1 prompts.jsonl out 64

Its settings, which are meant to be its best: the `openai` backend (aiohttp; its others go through litellm, which takes
longer), no limit of its own on requests or tokens a minute, ten retries and its cache, which are its defaults, and the
whole completion handed to `parse`, without which the trace would be lost. What it delivers is written as Parquet,
by its dataset's own method.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NO_LIMIT = 1_000_000_000


def main() -> None:
    """The process."""
    url, prompts, place, in_flight = sys.argv[1:]
    out = Path(place)
    out.mkdir(exist_ok=True)
    os.environ.update(
        CURATOR_CACHE_DIR=str(out / "cache"), HF_HOME=str(out / "hub"), TELEMETRY_ENABLED="0", CURATOR_VIEWER="0"
    )

    from bespokelabs import curator
    from datasets import Dataset

    class Ask(curator.LLM):
        return_completions_object = True

        def prompt(self, input: dict[str, Any]) -> str:
            return str(input["question"])

        def parse(self, input: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
            message = response["choices"][0]["message"]
            return {
                "question": input["question"],
                "content": message["content"],
                "reasoning": message.get("reasoning_content"),
            }

    ask = Ask(
        model_name="scripted",
        backend="openai",
        generation_params={"temperature": 0.6, "top_p": 0.95, "max_tokens": 16_384},
        backend_params={
            "base_url": url,
            "api_key": "none",
            "max_concurrent_requests": int(in_flight),
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT,
        },
    )
    questions = Dataset.from_json(prompts, cache_dir=str(out / "questions"))
    ask(questions).dataset.to_parquet(out / "rows.parquet")


if __name__ == "__main__":
    main()
