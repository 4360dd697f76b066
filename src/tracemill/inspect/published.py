"""What NVIDIA published of its sets, to stand beside what is found: rows by split, by generator, bytes by split.

Source: the dataset cards of nvidia/Nemotron-Post-Training-Dataset-v1 and -v2, 2025; rows by generator of v1: an article
on that set, 2025. Bytes are those of Arrow, uncompressed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """The figures of one set."""

    name: str
    rows: Mapping[str, int]
    """By split, which in v1 is the category."""
    bytes: Mapping[str, int]
    generators: Mapping[str, int]


V1 = Published(
    "Nemotron Post-Training Dataset v1",
    {"chat": 746_622, "code": 1_896_395, "math": 2_044_407, "stem": 20_662_167, "tool_calling": 310_051},
    {
        "chat": 3_824_039_827,
        "code": 91_391_705_833,
        "math": 79_173_786_238,
        "stem": 329_529_074_790,
        "tool_calling": 6_395_081_261,
    },
    {"DeepSeek-R1-0528": 24_602_969, "Qwen3-235B-A22B": 1_056_673},
)
V2 = Published(
    "Nemotron Post-Training Dataset v2",
    {
        "stem": 355_000,
        "chat": 627_720,
        "math": 239_467,
        "code": 175_000,
        "multilingual_ja": 975_202,
        "multilingual_de": 1_015_314,
        "multilingual_it": 1_016_503,
        "multilingual_es": 935_704,
        "multilingual_fr": 1_001_504,
    },
    {
        "stem": 807_639_463,
        "chat": 5_971_361_114,
        "math": 507_431_890,
        "code": 980_267_419,
        "multilingual_ja": 18_014_250_907,
        "multilingual_de": 18_891_078_015,
        "multilingual_it": 18_724_137_501,
        "multilingual_es": 16_273_052_735,
        "multilingual_fr": 18_231_554_197,
    },
    {},
)


def most_like(splits: Collection[str]) -> Published:
    """The set that a dataset with these splits or categories is best compared with."""
    return V2 if any(name.startswith("multilingual_") for name in splits) else V1
