"""What others add to the engine: handlers, transforms, lint rules and interviewers (spec 4.12, 6, 7.4, 9.3).

A program that embeds the engine passes its own. A package that is installed beside it is found by entry points:

    [project.entry-points."attractor.handlers"]      the entry's name is the node type; a callable that makes a Handler
    [project.entry-points."attractor.transforms"]    a Transform; applied behind the built-in ones, by name
    [project.entry-points."attractor.lint_rules"]    a Rule, or several in a tuple or list
    [project.entry-points."attractor.interviewers"]  for `--interviewer NAME`; a callable that makes an Interviewer

Rules kept here: a built-in name cannot be taken; an extension that breaks is a ConfigError that names it and the
distribution it came with. A handler or interviewer is imported when it is needed, not for every look at a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, TypeAlias, TypeVar

from attractor.contracts import Handler, Interviewer
from attractor.errors import AttractorError, ConfigError
from attractor.graph import Graph, Transform
from attractor.handlers import HANDLER_TYPES
from attractor.lint import RULES, Facts, Finding, Rule, Validation, validate_text

HANDLERS: Final = "attractor.handlers"
TRANSFORMS: Final = "attractor.transforms"
LINT_RULES: Final = "attractor.lint_rules"
INTERVIEWERS: Final = "attractor.interviewers"

HandlerFactory: TypeAlias = Callable[[], Handler]
InterviewerFactory: TypeAlias = Callable[[], Interviewer]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Extensions:
    """What stands beside the engine's own.

    `handlers`: node type -> what makes its handler, once for a run and once for each branch. `transforms`: name ->
    transform, in the order they are applied. `interviewers`: by the name that `--interviewer` takes. `sources`: what
    came from which distribution, `transform NAME` -> `DISTRIBUTION VERSION`.
    """

    handlers: Mapping[str, HandlerFactory] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    interviewers: Mapping[str, InterviewerFactory] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node_type in self.handlers:
            if node_type in HANDLER_TYPES:
                raise ConfigError(
                    f"the handler type {node_type!r} is built in{self._from(f'handler {node_type}')}",
                    hint="give the handler a type of its own, such as company.kind",
                )
        taken = {rule.id for rule in RULES}
        for rule in self.rules:
            if rule.id in taken:
                raise ConfigError(
                    f"there are two lint rules {rule.id!r}{self._from(f'rule {rule.id}')}", hint="rename yours"
                )
            taken.add(rule.id)

    def _from(self, what: str) -> str:
        return f" (from {self.sources[what]})" if what in self.sources else ""

    def joined(self, other: Extensions) -> Extensions:
        """Both together; ConfigError for a name that both have. The other's transforms come last."""
        for mine, theirs, kind in (
            (self.handlers, other.handlers, "handler type"),
            (self.transforms, other.transforms, "transform"),
            (self.interviewers, other.interviewers, "interviewer"),
        ):
            for name in mine.keys() & theirs.keys():
                raise ConfigError(f"there are two extensions for the {kind} {name!r}", hint="rename one of them")
        return Extensions(
            {**self.handlers, **other.handlers},
            {**self.transforms, **other.transforms},
            (*self.rules, *other.rules),
            {**self.interviewers, **other.interviewers},
            {**self.sources, **other.sources},
        )

    def validate(self, text: str | bytes, name: str) -> Validation:
        """All that can be said about a graph file's text, extensions included; `name` is for messages."""
        return validate_text(
            text,
            name,
            transforms=self.guarded_transforms(),
            extra_rules=tuple(self._guarded_rule(rule) for rule in self.rules),
            handler_types=tuple(self.handlers),
        )

    def guarded_transforms(self) -> tuple[Transform, ...]:
        """The transforms in order; what one raises, or returns that is no graph, is a ConfigError that names it."""
        return tuple(self._guarded_transform(name, transform) for name, transform in self.transforms.items())

    def _guarded_transform(self, name: str, transform: Transform) -> Transform:
        def apply(graph: Graph) -> Graph:
            result: object = self._guarded("transform", name, lambda: transform(graph))
            if not isinstance(result, Graph):
                raise self._broken("transform", name, f"returned a {type(result).__name__} in place of a Graph")
            return result

        return apply

    def _guarded_rule(self, rule: Rule) -> Rule:
        def check(facts: Facts) -> Iterator[Finding]:
            yield from self._guarded("lint rule", rule.id, lambda: list(rule.check(facts)))

        return replace(rule, check=check)

    def _guarded(self, kind: str, name: str, act: Callable[[], _T], how: str = "failed") -> _T:
        try:
            return act()
        except AttractorError:
            raise
        except Exception as error:  # whatever foreign code does
            raise self._broken(kind, name, f"{how}: {type(error).__name__}: {error}") from error

    def _broken(self, kind: str, name: str, how: str, hint: str | None = None) -> ConfigError:
        source = self._from(f"{kind.removeprefix('lint ')} {name}")
        return ConfigError(
            f"the {kind} {name!r}{source} {how}",
            hint=hint or ("mend it, or uninstall the distribution" if source else "it is this program's own: mend it"),
        )

    def _made(self, kind: str, name: str, maker: Callable[[], _T], method: str) -> _T:
        made = self._guarded(kind, name, maker, "cannot be made")
        if not callable(getattr(made, method, None)):
            how = f"makes no {kind.capitalize()}: a {type(made).__name__} has no {method}()"
            raise self._broken(kind, name, how, f"an object without {method}() cannot be one")
        return made

    def used_by(self, graph: Graph, interviewer: str = "") -> dict[str, str]:
        """What a run of this graph depends on: `transform NAME`, `handler TYPE`, `interviewer NAME` -> its source."""
        types = {node.handler_type for node in graph.nodes.values()}
        used = [f"transform {name}" for name in self.transforms]
        used += [f"handler {name}" for name in self.handlers if name in types]
        used += [f"interviewer {interviewer}"] if interviewer else []
        return {what: self.sources.get(what, "") for what in used}

    def as_recorded(self, recorded: Mapping[str, str]) -> Extensions:
        """Those a run was begun with, from `used_by`. Raises ConfigError where one is not here.

        A transform that was added since is left out: the run's graph stays what it was.
        """
        offered = {f"transform {name}" for name in self.transforms}
        offered |= {f"handler {name}" for name in self.handlers}
        offered |= {f"interviewer {name}" for name in self.interviewers}
        for what, source in recorded.items():
            if what not in offered:
                came = f" (it came with {source})" if source else ""
                raise ConfigError(
                    f"the run was begun with the {what}{came}, which is not here",
                    hint="install it again, in the environment of this program, and resume"
                    if source
                    else "resume from the program that began the run",
                )
        kept = {name: transform for name, transform in self.transforms.items() if f"transform {name}" in recorded}
        return replace(self, transforms=kept)

    def handler(self, node_type: str) -> Handler:
        """A new handler of one of `handlers`. Raises ConfigError where it cannot be made."""
        return self._made("handler", node_type, self.handlers[node_type], "execute")

    def check_handlers(self, graph: Graph) -> None:
        """Make the handler of each type that `graph` has of ours; ConfigError where that cannot be done."""
        for node_type in {node.handler_type for node in graph.nodes.values()} & self.handlers.keys():
            self.handler(node_type)

    def interviewer(self, name: str) -> Interviewer:
        """Raises ConfigError for one that is not there, or cannot be made."""
        if name not in self.interviewers:
            known = ", ".join(sorted(self.interviewers)) or "none is installed"
            raise ConfigError(f"there is no interviewer {name!r}", hint=f"known are: {known}")
        return self._made("interviewer", name, self.interviewers[name], "ask")


def installed_extensions() -> Extensions:
    """Those of the packages installed beside the engine, by name. Raises ConfigError for what is broken."""
    found = {group: _by_name(group) for group in (HANDLERS, TRANSFORMS, LINT_RULES, INTERVIEWERS)}
    sources: dict[str, str] = {}
    for group, kind in ((HANDLERS, "handler"), (TRANSFORMS, "transform"), (INTERVIEWERS, "interviewer")):
        sources |= {f"{kind} {name}": _source(entry) for name, entry in found[group].items()}
    rules: list[Rule] = []
    for entry in found[LINT_RULES].values():
        for rule in _rules(entry):
            sources[f"rule {rule.id}"] = _source(entry)
            rules.append(rule)
    return Extensions(
        handlers={name: _factory(entry) for name, entry in found[HANDLERS].items()},
        transforms={name: _transform(entry) for name, entry in found[TRANSFORMS].items()},
        rules=tuple(rules),
        interviewers={name: _factory(entry) for name, entry in found[INTERVIEWERS].items()},
        sources=sources,
    )


def _by_name(group: str) -> dict[str, EntryPoint]:
    by_name: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, _source(entry))):
        other = by_name.setdefault(entry.name, entry)
        # One distribution may be seen twice, installed and from its source folder.
        if other.value != entry.value:
            raise ConfigError(
                f"there are two {group} named {entry.name!r}: of {_source(other)} and of {_source(entry)}",
                hint="uninstall one of them",
            )
    return by_name


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # whatever a foreign module does when it is imported
        raise _broken(entry, f"cannot be loaded: {type(error).__name__}: {error}") from error


def _broken(entry: EntryPoint, what: str) -> ConfigError:
    return ConfigError(
        f"the extension {entry.name!r} ({entry.group}) of {_source(entry)} {what}",
        hint=f"mend {entry.value}, or uninstall the distribution",
    )


def _factory(entry: EntryPoint) -> Callable[[], Any]:
    """Imported when something is made by it, not for every look at a graph."""
    return lambda: _load(entry)()


def _transform(entry: EntryPoint) -> Transform:
    loaded = _load(entry)
    if not callable(loaded):
        raise _broken(entry, f"is no transform: a {type(loaded).__name__} cannot be called")
    transform: Transform = loaded
    return transform


def _rules(entry: EntryPoint) -> list[Rule]:
    loaded = _load(entry)
    rules = list(loaded) if isinstance(loaded, Iterable) and not isinstance(loaded, Rule) else [loaded]
    for rule in rules:
        if not isinstance(rule, Rule):
            raise _broken(entry, f"is no lint rule: it has a {type(rule).__name__}")
    return rules
