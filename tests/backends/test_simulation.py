"""The script language of the simulated backend."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.backends import SimulatedStep, parse_simulation, simulated_text
from attractor.contracts import FailureClass, Status
from attractor.errors import ConfigError

REFUSED = SimulatedStep(Status.FAIL, FailureClass.TRANSIENT_INFRA, "connection refused")


def test_no_script_is_a_success() -> None:
    assert parse_simulation("").steps == (SimulatedStep(),)
    assert simulated_text("plan") == "[Simulated] Response for stage: plan"


def test_steps_are_attempts_and_the_last_one_repeats() -> None:
    script = parse_simulation("fail transient_infra 'connection refused' x2; success")
    assert [script.step(attempt) for attempt in (1, 2, 3, 9)] == [REFUSED, REFUSED, SimulatedStep(), SimulatedStep()]


@pytest.mark.parametrize(
    ("script", "step"),
    [
        ("hang", SimulatedStep(hang=True)),
        ("success delay=2s", SimulatedStep(delay_seconds=2.0)),
        ("success delay=1.5m", SimulatedStep(delay_seconds=90.0)),
        ("success output=10mb", SimulatedStep(output_bytes=10_000_000)),
        ("success output=7", SimulatedStep(output_bytes=7)),
        ("success text='it is; done'", SimulatedStep(text="it is; done")),
        ("success status='{\"outcome\":'", SimulatedStep(status_file='{"outcome":')),
        ("success status=''", SimulatedStep(status_file="")),
        ("success tokens=100 cost=0.5", SimulatedStep(tokens=100, cost_usd=0.5)),
        ("retry 'later'", SimulatedStep(Status.RETRY, reason="later")),
        ("partial_success;", SimulatedStep(Status.PARTIAL_SUCCESS)),
        ("fail structural", SimulatedStep(Status.FAIL, FailureClass.STRUCTURAL)),
        (
            "cut",
            SimulatedStep(Status.FAIL, FailureClass.TRANSIENT_INFRA, "[Simulated] stream cut", cut=True),
        ),
    ],
)
def test_one_step(script: str, step: SimulatedStep) -> None:
    assert parse_simulation(script).steps == (step,)


@pytest.mark.parametrize(
    ("script", "column", "message"),
    [
        ("explode", 1, "unknown word 'explode'"),
        ("success; ; fail", 9, "an empty step"),
        ("success delay=soon", 8, "'soon' is not a number"),
        ("success size=3", 8, "unknown setting 'size'"),
        ("fail 'no end", 5, "cannot read"),
        ("fail x0", 5, "between 1 and 10000"),
        ("fail x999999", 5, "between 1 and 10000"),
        ("fail \N{SNOWMAN}", 5, "cannot read"),
    ],
)
def test_what_is_wrong_is_said_with_its_column(script: str, column: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_simulation(script, place="node plan: simulate")
    assert caught.value.place == f"node plan: simulate: column {column}"


@given(st.text(alphabet="sucefail hng;x0123='=delay\"{}", max_size=40))
def test_a_script_is_read_or_refused(script: str) -> None:
    with suppress(ConfigError):
        assert parse_simulation(script).steps
