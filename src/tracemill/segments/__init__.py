"""What of a message is translated and what is never sent; how it is put together again; and what text alone can tell of
a bad translation. Pure functions of text: nothing here asks, reads or writes.

    segments = split(message)
    wanted = [segment.text for segment in segments if segment.translatable]
    masked = mask(wanted[0]);  reply = ask(masked.text)
    match judge(masked, reply, rules):
        case Problem(reason, detail): ...ask again...
        case translation: ...
    join(segments, translations)
"""

from tracemill.segments.batches import Granularity, batches, numbered, parse_numbered
from tracemill.segments.brackets import unwrap, wrap
from tracemill.segments.gates import GATES, Gate, Pair, check, check_all, judge, pair
from tracemill.segments.masks import BrokenPlaceholders, Masked, bare, has_words, mask
from tracemill.segments.message import check_message
from tracemill.segments.numbers import NumberFormat
from tracemill.segments.problem import REASONS, Problem, Reason
from tracemill.segments.rules import Rules
from tracemill.segments.segment import Kind, Segment, join
from tracemill.segments.sentences import sentences
from tracemill.segments.splitting import split

__all__ = [
    "GATES", "REASONS", "BrokenPlaceholders", "Gate", "Granularity", "Kind", "Masked", "NumberFormat", "Pair", "Problem",
    "Reason", "Rules", "Segment", "bare", "batches", "check", "check_all", "check_message", "has_words", "join", "judge",
    "mask", "numbered", "pair", "parse_numbered", "sentences", "split", "unwrap", "wrap",
]  # fmt: skip
