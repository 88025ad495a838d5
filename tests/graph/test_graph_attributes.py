"""The table of attributes against the spec's Appendix A, and value types."""

import pytest

from attractor.graph import ATTRIBUTES, Scope, attribute_spec, value_problem

APPENDIX_A = {
    Scope.GRAPH: "goal label model_stylesheet default_max_retries default_max_retry default_fidelity retry_target "
    "fallback_retry_target stack.child_dotfile stack.child_workdir tool_hooks.pre tool_hooks.post",
    Scope.NODE: "label shape type prompt max_retries goal_gate retry_target fallback_retry_target fidelity thread_id "
    "class timeout llm_model llm_provider reasoning_effort auto_status allow_partial",
    Scope.EDGE: "label condition weight fidelity thread_id loop_restart",
}


@pytest.mark.parametrize("scope", Scope)
def test_every_attribute_of_the_spec_is_in_the_table(scope: Scope) -> None:
    assert [key for key in APPENDIX_A[scope].split() if attribute_spec(scope, key) is None] == []


def test_no_row_is_written_twice() -> None:
    assert all(ATTRIBUTES[spec.scope, spec.key] is spec for spec in ATTRIBUTES.values())


def test_every_default_is_of_its_own_type() -> None:
    assert [spec.key for spec in ATTRIBUTES.values() if value_problem(spec, spec.default)] == []


@pytest.mark.parametrize(
    ("scope", "key", "good", "bad"),
    [
        (Scope.NODE, "timeout", ["900s", "250ms", "1d"], ["soon", "900", "1.5h", "-1s", "10 s", "1w"]),
        (Scope.NODE, "max_retries", ["0", "3"], ["-1", "1.5", "x", "9" * 40]),
        (Scope.NODE, "max_parallel", ["1"], ["0"]),
        (Scope.NODE, "goal_gate", ["true", "false"], ["yes", "1", "True"]),
        (Scope.EDGE, "weight", ["-3", "0", "10"], ["1.5", "heavy"]),
        (Scope.NODE, "retry_backoff_factor", ["2", "1.5"], ["x", "inf", "nan", "1e3"]),
        (Scope.NODE, "join_policy", ["wait_all"], ["all"]),
    ],
)
def test_values_are_held_to_their_type(scope: Scope, key: str, good: list[str], bad: list[str]) -> None:
    spec = attribute_spec(scope, key)
    assert spec is not None
    assert [text for text in good if value_problem(spec, text)] == []
    assert [text for text in bad if not value_problem(spec, text)] == []
