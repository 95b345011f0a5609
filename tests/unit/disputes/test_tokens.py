"""Tokens: altered ones are never genuine."""

from __future__ import annotations

import hashlib

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from inspection.services.disputes import tokens

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_token_carries_144_random_bits_and_fits_in_an_address() -> None:
    made = {tokens.new_token() for _ in range(200)}
    assert len(made) == 200
    assert all(len(token) == tokens.LENGTH and set(token) <= set(ALPHABET) for token in made)
    assert tokens.RANDOM_BYTES * 8 >= 128


def test_what_is_stored_is_a_hash() -> None:
    token = tokens.new_token()
    assert tokens.digest_of(token) == hashlib.sha256(token.encode()).hexdigest()
    assert tokens.is_same(tokens.digest_of(token), token)
    assert not tokens.is_same(tokens.digest_of(token), tokens.new_token())


@given(place=st.integers(0, tokens.LENGTH - 1), letter=st.characters())
def test_one_altered_letter_makes_it_another_token(place: int, letter: str) -> None:
    token = tokens.new_token()
    altered = token[:place] + letter + token[place + 1 :]
    assert tokens.is_genuine(altered) == (altered == token)


@given(st.text(max_size=60) | st.text(ALPHABET, min_size=48, max_size=48))
def test_what_we_did_not_make_is_not_genuine(text: str) -> None:
    assert not tokens.is_genuine(text)


@given(st.permutations(range(tokens.LENGTH)), st.integers(0, tokens.LENGTH))
def test_shuffled_or_cut_tokens_are_not_genuine(order: list[int], length: int) -> None:
    token = tokens.new_token()
    shuffled = "".join(token[place] for place in order)
    assert tokens.is_genuine(shuffled) == (shuffled == token)
    assert tokens.is_genuine(token[:length]) == (length == tokens.LENGTH)
    assert not tokens.is_genuine(token + token[:length]) or length == 0


def test_parts_of_two_tokens_make_none() -> None:
    one, two = tokens.new_token(), tokens.new_token()
    assert not tokens.is_genuine(one[:24] + two[24:])


def test_a_new_key_keeps_tokens_made_with_the_one_before() -> None:
    with override_settings(SECRET_KEY="before"):
        token = tokens.new_token()
    with override_settings(SECRET_KEY="now"):
        assert not tokens.is_genuine(token)
    with override_settings(SECRET_KEY="now", SECRET_KEY_FALLBACKS=["before"]):
        assert tokens.is_genuine(token)


def test_a_device_is_told_apart_without_its_address() -> None:
    one = tokens.device_of("192.0.2.7", "Phone")
    assert one == tokens.device_of("192.0.2.7", "Phone")
    assert one != tokens.device_of("192.0.2.8", "Phone")
    assert len(one) == 16
    assert "192" not in one or not one.startswith("192.0")


@pytest.mark.parametrize("token", ["", "\0" * 48, "é" * 48, "\ud800" * 48])
def test_odd_tokens_are_no_error(token: str) -> None:
    assert not tokens.is_genuine(token)
    assert len(tokens.digest_of(token)) == 64
