"""Stop strings: the cut does not depend on the pieces, and no part of one is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trine.errors import UsageError
from trine.model.stopping import StopStrings

WORDS = st.text("ab", min_size=1, max_size=4)


def cut(pieces: list[str], stops: list[str]) -> tuple[list[str], str | None]:
    found = StopStrings(stops)
    return [*map(found.push, pieces), found.flush()], found.found


@given(pieces=st.lists(st.text("abc", max_size=5)), stops=st.lists(WORDS, max_size=3))
def test_the_cut_is_where_the_first_stop_string_is_complete(
    pieces: list[str], stops: list[str]
) -> None:
    text = "".join(pieces)
    shown, found = cut(pieces, stops)
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)]
    if not ends:
        assert ("".join(shown), found) == (text, None)
        return
    longest = max((s for s in stops if text[: ends[0]].endswith(s)), key=len)
    assert ("".join(shown), found) == (text[: ends[0] - len(longest)], longest)


@given(pieces=st.lists(st.text("abc", max_size=5)), stops=st.lists(WORDS, max_size=3))
def test_nothing_is_held_back_that_cannot_become_a_stop_string(
    pieces: list[str], stops: list[str]
) -> None:
    found = StopStrings(stops)
    text = shown = ""
    for piece in pieces:
        text += piece
        shown += found.push(piece)
        if found.found is None:
            held = text.removeprefix(shown)
            assert held == "" or any(s.startswith(held) and s != held for s in stops)


def test_across_tokens() -> None:
    assert cut(["Hello", "\n", "Us", "er", ": hi"], ["\nUser:"]) == (
        ["Hello", "", "", "", "", ""],
        "\nUser:",
    )
    assert cut(["Hello", "\n", "Us", "e"], ["\nUser:"]) == (["Hello", "", "", "", "\nUse"], None)


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(UsageError, match="a stop string is empty"):
        StopStrings(["a", ""])
