"""The lineage of a task's columns, read from its expressions: raw column, feature or label, score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline_assets.task import plugins
from pipeline_assets.task.expressions import read_named
from pipeline_assets.task.spec import DECISION, LABEL, TaskSpec
from pipeline_assets.task.validation import common_types, feature_types, output_types, rule_types, stage_types

Kind = Literal["raw", "feature", "label", "score"]


@dataclass(frozen=True)
class Node:
    """A column of the lineage.

    Attributes:
        key: ``<kind>:<name>``, as in addresses of the page: a raw column and a feature may have the same name.
        expression: that makes it; empty for a raw column.
        trained_only: whether it is there only in train.
    """

    kind: Kind
    name: str
    description: str
    expression: str = ""
    trained_only: bool = False

    @property
    def key(self) -> str:
        """The address of the column, as described above."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Edge:
    """One column is used for another: directly, or through the fitted model."""

    source: str
    target: str
    by_model: bool = False


@dataclass(frozen=True)
class Columns:
    """A task's columns and their edges.

    Attributes:
        nodes: by key, in the order of the task.
    """

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]

    def upstream(self, key: str) -> set[str]:
        """Every column that a column is made of, directly or not."""
        return _reached(key, [(edge.target, edge.source) for edge in self.edges])

    def downstream(self, key: str) -> set[str]:
        """Every column that is made of a column, directly or not."""
        return _reached(key, [(edge.source, edge.target) for edge in self.edges])

    def path(self, key: str) -> set[str]:
        """A column with everything upstream and downstream of it."""
        return {key} | self.upstream(key) | self.downstream(key)

    def edges_of(self, key: str) -> set[Edge]:
        """The edges on the path of a column."""
        before, after = self.upstream(key) | {key}, self.downstream(key) | {key}
        return {
            edge for edge in self.edges if {edge.source, edge.target} <= before or {edge.source, edge.target} <= after
        }


def feature_sources(task: TaskSpec) -> dict[str, tuple[str, ...]]:
    """The raw columns that each feature is made of, by the feature's name."""
    found = _sources({name: each.expression for name, each in task.features.all.items()}, feature_types(task))
    if task.preparation is None:
        return found
    # What the task's own function reads is not known, so its columns may be made of every column that it gets.
    own, given = set(task.preparation.columns), tuple(common_types(task))
    return {name: given if own & set(used) else used for name, used in found.items()}


def label_sources(task: TaskSpec) -> tuple[str, ...]:
    """The raw columns that the label is made of."""
    return _sources({LABEL: task.target.expression}, stage_types(task, "train"))[LABEL]


def weight_sources(task: TaskSpec) -> tuple[str, ...]:
    """The raw columns that a row's weight in a fit is made of; empty where all rows weigh the same."""
    given = {} if task.training.weight is None else {"weight": task.training.weight}
    return _sources(given, stage_types(task, "train")).get("weight", ())


def select_sources(task: TaskSpec) -> dict[str, tuple[str, ...]]:
    """The raw and score columns that each column of ``output.select`` is made of; empty without a select."""
    return _sources(task.output.select or {}, {**stage_types(task, "predict"), **output_types(task)})


def _sources(expressions: Mapping[str, str], types: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: found.columns for name, found in read_named(expressions, types).items()}


def columns(task: TaskSpec) -> Columns:
    """The lineage of a task's columns.

    Features are made of the raw columns that their expressions use, and the label of those of the target. The score is
    made of every feature and, through the training, of the label. If the output has a rule, the decision is made of
    the score and of the raw columns that the rule uses.
    """
    raw = [
        Node("raw", name, each.description, trained_only=each.stage == "train") for name, each in task.columns.items()
    ]
    features = [Node("feature", name, each.description, each.expression) for name, each in task.features.all.items()]
    label = Node("label", LABEL, task.target.description, task.target.expression, trained_only=True)
    score = Node("score", next(iter(plugins.kind(task.target.kind).score_types)), task.description)
    decision = None if task.output.where is None else Node("score", DECISION, "", task.output.where)
    sources = feature_sources(task)
    edges = [
        *(Edge(f"raw:{name}", feature.key) for feature in features for name in sources[feature.name]),
        *(Edge(f"raw:{name}", label.key) for name in label_sources(task)),
        *(Edge(feature.key, score.key, by_model=True) for feature in features),
        Edge(label.key, score.key, by_model=True),
        *(_of_decision(task, decision, score) if decision else ()),
    ]
    nodes = {node.key: node for node in (*raw, *features, label, score, *((decision,) if decision else ()))}
    return Columns(nodes, tuple(edges))


def _of_decision(task: TaskSpec, decision: Node, score: Node) -> list[Edge]:
    scores = rule_types(task)
    types = {**stage_types(task, "predict"), **scores}
    used = _sources({decision.name: decision.expression}, types)[decision.name]
    # The score columns are one value in several forms, so they are one node.
    return [Edge(each, decision.key) for each in dict.fromkeys(score.key if n in scores else f"raw:{n}" for n in used)]


def _reached(start: str, steps: list[tuple[str, str]]) -> set[str]:
    targets: dict[str, set[str]] = {}
    for source, target in steps:
        targets.setdefault(source, set()).add(target)
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = targets.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached
