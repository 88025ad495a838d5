"""How long to wait, from the words of those who know."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.backends import MAX_RETRY_AFTER_SECONDS, retry_after_seconds

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("resets at 3pm (UTC)", 3 * HOUR + 60),
        ("5-hour limit reached ∙ resets 3:30pm", 3.5 * HOUR + 60),
        ("You've hit your limit · resets 11am (UTC)", 23 * HOUR + 60),
        ("resets 9am (America/New_York)", 2 * HOUR + 60),
        ("resets Nov 25, 3pm (UTC)", 51 * HOUR + 60),
        ("resets 15:00 (UTC)", 3 * HOUR + 60),
        ("Try again at 3:05 PM.", 3 * HOUR + 300 + 60),
        ("Try again at 12:00 PM.", 60),
        ("Try again at 11:59 AM.", 24 * HOUR),
        ("or try again at Nov 24th, 2026 1:00 PM.", 25 * HOUR + 60),
        ("try again in 4h 12m", 4 * HOUR + 720),
        ("Please try again in 1.898s. Visit https://x", 1.898),
        ("Please retry in 34.074824224s", 34.074824224),
        ("Please try again in 900ms", 0.9),
        ("Try again in 2 days 3 hours 5 minutes.", 2 * 86400 + 3 * HOUR + 300),
        ("Your quota will reset after 2h3m4s.", 2 * HOUR + 184),
        ('"retryDelay": "34s"', 34.0),
        ("  retryDelayMs: 34070,", 34.07),
        ("Retry-After: 30", 30.0),
        ('{"retry-after": "7"}', 7.0),
        (f"Claude AI usage limit reached|{EPOCH + 600}", 600.0),
        (f'"resets_at":{EPOCH + 60}', 60.0),
        (f'"resetsAt":{EPOCH + 60}', 60.0),
    ],
)
def test_a_message_with_a_time(text: str, seconds: float) -> None:
    assert retry_after_seconds(text, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "Try again later.",
        "resets soon",
        "resets 3 counters",
        "retried 3 times in 4s",
        "resets Feb 31, 3pm",
        "try again at 25:99 PM",
        "timeout after 30 s",
        "",
    ],
)
def test_a_message_without_one(text: str) -> None:
    assert retry_after_seconds(text, NOW) is None


def test_a_clock_time_without_zone_is_the_machines() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=-5)))  # 7 in the morning
    assert retry_after_seconds("Try again at 8:00 AM.", here) == HOUR + 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (f"limit reached|{EPOCH - 600}", 0.0),
        ("Retry-After: 9999999", MAX_RETRY_AFTER_SECONDS),
        ("try again in 400 days", MAX_RETRY_AFTER_SECONDS),
    ],
)
def test_the_answer_is_bounded(text: str, seconds: float) -> None:
    assert retry_after_seconds(text, NOW) == seconds


@given(
    st.text(max_size=60), st.sampled_from(["resets ", "try again in ", "try again at ", "Retry-After: ", "reset at "])
)
def test_no_text_makes_it_raise_or_leave_its_bounds(text: str, before: str) -> None:
    seconds = retry_after_seconds(before + text, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS
