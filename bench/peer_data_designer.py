"""NVIDIA NeMo Data Designer over some prompts; runs in its own environment, started by `bench.peers`.

    python -P bench/peer_data_designer.py http://127.0.0.1:40123/v1 prompts.jsonl out 64

Its settings, which are meant to be its best: as many parallel requests and tasks in flight as asked for, row groups
of 250 instead of 1,000 so that a resumed run finds more, `resume` on (by default it is off), the native template
engine, no health check, no metrics endpoint, and no early shutdown, so that errors do not end a run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROW_GROUP = 250


def main() -> None:
    """The process."""
    url, prompts, place, in_flight = sys.argv[1:]
    out = Path(place)
    out.mkdir(exist_ok=True)
    os.environ.update(NEMO_TELEMETRY_ENABLED="false", DATA_DESIGNER_HOME=str(out / "home"))

    import data_designer.config as dd
    from data_designer.interface import DataDesigner

    with open(prompts, encoding="utf-8") as file:
        count = sum(1 for _ in file)
    designer = DataDesigner(
        artifact_path=out / "artifacts",
        model_providers=[dd.ModelProvider(name="scripted", endpoint=url, provider_type="openai", api_key="none")],
    )
    designer.set_run_config(
        dd.RunConfig(
            buffer_size=ROW_GROUP,
            max_concurrent_row_groups=max(3, -(-2 * int(in_flight) // ROW_GROUP)),
            max_in_flight_tasks=max(1024, int(in_flight)),
            disable_early_shutdown=True,
            jinja_rendering_engine="native",
            otel_metrics_port=None,
        )
    )
    asking = dd.ChatCompletionInferenceParams(
        temperature=0.6, top_p=0.95, max_tokens=16_384, max_parallel_requests=int(in_flight), timeout=1800
    )
    model = dd.ModelConfig(
        alias="teacher", model="scripted", provider="scripted", inference_parameters=asking, skip_health_check=True
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=prompts))
    builder.add_column(
        dd.LLMTextColumnConfig(
            name="content", prompt="{{ question }}", model_alias="teacher", extract_reasoning_content=True
        )
    )
    designer.create(builder, num_records=count, dataset_name="bench", resume="if_possible")


if __name__ == "__main__":
    main()
