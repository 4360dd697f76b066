"""Rows whose prompt was withheld: the first user turn is empty, or "-", as NVIDIA leaves it where a text is not its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def withheld_rows(messages: pa.ListArray) -> Iterator[tuple[int, int]]:
    """(row, message) of each row whose first user turn is empty or "-"; messages are numbered in `messages.values`."""
    offsets = np.asarray(messages.offsets.to_numpy(), np.int64)
    roles = messages.values.field("role")
    users = np.flatnonzero(np.asarray(pc.equal(roles, "user").fill_null(False)))
    users = users[(users >= offsets[0]) & (users < offsets[-1])]
    owners = np.searchsorted(offsets, users, "right") - 1
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    content = messages.values.field("content")
    lengths = np.asarray(pc.binary_length(content).fill_null(0))
    for row, message in zip(owners[first].tolist(), users[first].tolist(), strict=True):
        if lengths[message] <= 8 and (as_text(content[message]) or "").strip() in ("", "-"):
            yield row, message


def as_text(held: pa.Scalar) -> str | None:
    """A text of a table; what is not UTF-8 in it becomes U+FFFD."""
    return held.as_buffer().to_pybytes().decode(errors="replace") if held.is_valid else None


def with_prompt(messages: pa.ListArray) -> pa.BooleanArray:
    """Which conversations have their prompt, or no user turn at all."""
    found = np.ones(len(messages), np.bool_)
    whole = messages if messages.offset == 0 else pa.concat_arrays([messages])
    found[[row for row, _ in withheld_rows(whole)]] = False
    return pa.array(found)
