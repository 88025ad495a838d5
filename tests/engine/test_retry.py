"""Delays and attempts: spec 3.5, 3.6."""

import pytest

from attractor.engine import Backoff, retry_policy
from tests.engine.graphs import graph_of


def middle(low: float, high: float) -> float:
    return (low + high) / 2


@pytest.mark.spec("11.5.3")
def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(0.2, 2.0, max_seconds=1.0, jitter=False)
    assert [backoff.delay_seconds(n, middle) for n in (1, 2, 3, 4, 5)] == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_hundred_thousandth_retry_waits_no_longer_than_the_cap() -> None:
    assert Backoff(0.2, 2.0, max_seconds=60.0, jitter=False).delay_seconds(100_000, middle) == 60.0


@pytest.mark.spec("11.5.4")
def test_jitter_spreads_from_half_to_one_and_a_half() -> None:
    backoff = Backoff(1.0, 1.0)
    assert backoff.delay_seconds(1, lambda low, high: low) == 0.5
    assert backoff.delay_seconds(1, lambda low, high: high) == 1.5


@pytest.mark.parametrize(
    ("body", "attempts"),
    [
        ("a", 1),
        ("a [max_retries=3]", 4),
        ("graph [default_max_retries=2] a", 3),
        ("graph [default_max_retry=2] a", 3),
        ("graph [default_max_retries=2] a [max_retries=0]", 1),
        ("a [retry_policy=standard]", 5),
        ("graph [retry_policy=patient] a", 3),
        ("a [retry_policy=patient, max_retries=1]", 2),
    ],
)
def test_attempts_come_from_the_node_then_the_graph_then_the_preset(body: str, attempts: int) -> None:
    graph = graph_of(body)
    assert retry_policy(graph, graph.nodes["a"]).max_attempts == attempts


@pytest.mark.spec("11.5.3")
@pytest.mark.parametrize(
    ("preset", "delays"),
    [
        ("standard", [0.2, 0.4, 0.8, 1.6]),
        ("aggressive", [0.5, 1.0, 2.0, 4.0]),
        ("linear", [0.5, 0.5]),
        ("patient", [2.0, 6.0]),
    ],
)
def test_presets_wait_as_the_specification_lists(preset: str, delays: list[float]) -> None:
    graph = graph_of(f"a [retry_policy={preset}, retry_jitter=false]")
    backoff = retry_policy(graph, graph.nodes["a"]).backoff
    assert [backoff.delay_seconds(n, middle) for n in range(1, len(delays) + 1)] == pytest.approx(delays)


@pytest.mark.spec("11.5.4")
def test_a_nodes_own_backoff_beats_the_graphs() -> None:
    graph = graph_of('graph [retry_initial_delay="1s", retry_jitter=false] a [retry_initial_delay="10ms"]')
    assert retry_policy(graph, graph.nodes["a"]).backoff == Backoff(0.01, 2.0, 60.0, jitter=False)
