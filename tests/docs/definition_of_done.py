"""The definition of done of the public Attractor specification (its section 11), one line each, in our own words.

An id is section and number of the line in it; 11.12 counts the rows of its table, 11.13 the steps of its smoke test.
A note says how the engine differs on purpose. Must not know: which tests show a line; they say so themselves, with
`@pytest.mark.spec`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `optional`: the specification leaves it to the engine, and ours does not offer it."""

    id: str
    statement: str
    note: str = ""
    optional: bool = False

    @property
    def section(self) -> str:
        return self.id.rpartition(".")[0]


BY_CLASS = "Whether a failure is repeated is decided by its [class](failure-classes.md)."

SECTIONS = {
    "11.1": "DOT parsing",
    "11.2": "Validation and linting",
    "11.3": "Execution engine",
    "11.4": "Goal gates",
    "11.5": "Retries",
    "11.6": "Node handlers",
    "11.7": "State and context",
    "11.8": "Human in the loop",
    "11.9": "Condition expressions",
    "11.10": "Model stylesheet",
    "11.11": "Transforms and extensions",
    "11.12": "Parity matrix",
    "11.13": "Smoke test",
}

LINES = (
    Line("11.1.1", "A digraph with graph, node and edge attribute blocks is read."),
    Line("11.1.2", "`goal`, `label` and `model_stylesheet` of the graph arrive as written."),
    Line("11.1.3", "A node's attribute block may go over several lines."),
    Line("11.1.4", "`label`, `condition` and `weight` of an edge arrive as written."),
    Line("11.1.5", "A chain is one edge for each pair in it."),
    Line("11.1.6", "Defaults for nodes and edges hold for what is declared after them."),
    Line("11.1.7", "What stands in a subgraph is the graph's; the subgraph itself is gone."),
    Line("11.1.8", "A node's `class` brings it what the stylesheet has for that class."),
    Line("11.1.9", "Values are read with and without quotes."),
    Line("11.1.10", "Line and block comments are left out."),
    Line("11.2.1", "A graph has one start node, by shape or by id."),
    Line("11.2.2", "A graph has one exit node, by shape or by id."),
    Line("11.2.3", "No edge leads into the start node."),
    Line("11.2.4", "No edge leads out of the exit node."),
    Line("11.2.5", "Every node can be reached from the start node."),
    Line("11.2.6", "Every edge joins nodes that exist."),
    Line("11.2.7", "An agent node without a prompt is warned about.", "A label of its own counts as a prompt (4.5)."),
    Line("11.2.8", "Every condition can be parsed."),
    Line("11.2.9", "A graph with errors is refused with an exception.", "`require_valid`, or `Validation.require`."),
    Line("11.2.10", "A finding names its rule, severity, node or edge, and says what is wrong."),
    Line("11.3.1", "A run begins at the start node."),
    Line("11.3.2", "A node's shape decides which handler runs it."),
    Line(
        "11.3.3",
        "A handler is given node, context, graph and logs root, and returns an outcome.",
        "As one value, `StageRun`; instead of the logs root it has the node's folder in it.",
    ),
    Line("11.3.4", "The outcome is in `status.json` of the node's folder."),
    Line(
        "11.3.5",
        "An edge is chosen by condition, preferred label, suggested ids, weight, and target id, in this order.",
        "For successes. A failure follows a condition, a retry target, or an edge into a conditional node.",
    ),
    Line("11.3.6", "A run goes from node to node: execute, choose an edge, advance."),
    Line("11.3.7", "The exit node ends the run."),
    Line(
        "11.3.8",
        "A run is a success if all its goal gates are, also partially, and a failure otherwise.",
        "A failure with no way onward fails the run, with or without goal gates.",
    ),
    Line("11.4.1", "What became of goal gates is remembered for the whole run."),
    Line("11.4.2", "The exit opens when all goal gates have succeeded, also partially."),
    Line("11.4.3", "While one has not, the run goes back to the retry target."),
    Line("11.4.4", "Without a retry target the run fails there."),
    Line("11.5.1", "A node with `max_retries` is repeated when it fails or asks for it.", BY_CLASS),
    Line("11.5.2", "Retries are counted for each node, up to its limit."),
    Line(
        "11.5.3",
        "The wait between attempts is constant, linear or exponential.",
        "Initial delay and factor; `linear` waits the same each time, as in the specification's own presets (3.6).",
    ),
    Line("11.5.4", "The wait is spread at random where that is configured."),
    Line("11.5.5", "Behind the last attempt its outcome decides the way."),
    Line("11.6.1", "Start: succeeds and does nothing."),
    Line("11.6.2", "Exit: succeeds and does nothing; goal gates are the engine's."),
    Line(
        "11.6.3",
        "Agent: puts the goal into the prompt, asks a backend, and leaves prompt and response in its folder.",
        "Backends are agent programs, and the simulation.",
    ),
    Line("11.6.4", "Human gate: offers the labels of its edges and returns the chosen one as preferred label."),
    Line(
        "11.6.5",
        "Conditional: does nothing; its edges' conditions see outcome and context.",
        "It passes on the outcome before it, so that they have one to look at.",
    ),
    Line("11.6.6", "Fan-out: its branches run at the same time."),
    Line("11.6.7", "Fan-in: goes on when all branches have ended.", "Unless `join_policy` ends the others early."),
    Line("11.6.8", "Tool: runs its command and returns how that ended."),
    Line("11.6.9", "Handlers of one's own are registered by type."),
    Line("11.7.1", "The context is keys and values that all handlers can read."),
    Line("11.7.2", "A handler reads the context and returns updates with its outcome."),
    Line("11.7.3", "Updates are merged behind each node."),
    Line("11.7.4", "Behind each node a checkpoint has current node, finished nodes, context and retries."),
    Line(
        "11.7.5",
        "A resumed run loads the checkpoint and goes on from there.",
        "Behind the last finished node; a run that failed goes on with the node that failed.",
    ),
    Line("11.7.6", "A node's folder holds prompt, response and status."),
    Line("11.8.1", "An interviewer takes a question and returns an answer."),
    Line("11.8.2", "Questions are yes or no, multiple choice, free text, or a confirmation."),
    Line(
        "11.8.3",
        "The approving interviewer takes the first choice.",
        "Yes where the question is yes or no; the first choice otherwise.",
    ),
    Line("11.8.4", "The console interviewer asks at the terminal and reads there."),
    Line("11.8.5", "The callback interviewer asks a function."),
    Line("11.8.6", "The queue interviewer gives prepared answers."),
    Line("11.9.1", "`=` compares texts."),
    Line("11.9.2", "`!=` is its opposite."),
    Line("11.9.3", "`&&` joins clauses that must all hold."),
    Line("11.9.4", "`outcome` is the node's status."),
    Line("11.9.5", "`preferred_label` is the outcome's label."),
    Line("11.9.6", "`context.` reads the context; what is missing is the empty text."),
    Line("11.9.7", "An empty condition always holds."),
    Line("11.10.1", "The stylesheet is the graph's `model_stylesheet`."),
    Line("11.10.2", "A rule may select by shape."),
    Line("11.10.3", "A rule may select by class."),
    Line("11.10.4", "A rule may select by node id."),
    Line("11.10.5", "Id beats class, class beats shape, shape beats `*`."),
    Line("11.10.6", "A node's own attribute beats the stylesheet."),
    Line("11.11.1", "Transforms change the graph between parsing and validation."),
    Line("11.11.2", "A transform takes a graph and returns a graph."),
    Line("11.11.3", "A built-in transform puts the goal into prompts."),
    Line("11.11.4", "Transforms of one's own are registered and run in order."),
    Line(
        "11.11.5",
        "An HTTP server starts runs, shows them, and takes answers.",
        "Not offered: `attractor run --detach`, `status --json` and `answer` do the same jobs.",
        optional=True,
    ),
    Line("11.12.1", "A linear graph is parsed."),
    Line("11.12.2", "Goal and label of a graph are parsed."),
    Line("11.12.3", "Attributes over several lines are parsed."),
    Line("11.12.4", "A missing start node is an error."),
    Line("11.12.5", "A missing exit node is an error."),
    Line(
        "11.12.6",
        "A node that cannot be reached is found.",
        "An error, as in the specification's own table of rules (7.2).",
    ),
    Line("11.12.7", "A linear graph of three nodes runs to its end."),
    Line("11.12.8", "Success and failure take different ways."),
    Line("11.12.9", "A failing node with `max_retries=2` is repeated.", BY_CLASS),
    Line("11.12.10", "A goal gate that failed keeps the exit shut."),
    Line("11.12.11", "Goal gates that succeeded open it."),
    Line("11.12.12", "A human gate offers choices, and the chosen one decides the way."),
    Line("11.12.13", "A condition beats weight."),
    Line("11.12.14", "Weight decides between edges without condition."),
    Line("11.12.15", "The target's id decides at last."),
    Line("11.12.16", "The next node sees what a node put into the context."),
    Line("11.12.17", "An interrupted and resumed run ends as an undisturbed one."),
    Line("11.12.18", "The stylesheet gives nodes of a shape their model."),
    Line("11.12.19", "The goal stands in the prompt."),
    Line("11.12.20", "Branches fan out and come together again."),
    Line("11.12.21", "A handler of one's own is registered and run."),
    Line("11.12.22", "A graph of more than ten nodes runs without errors."),
    Line("11.13.1", "The smoke test's graph is parsed: goal, nodes, edges."),
    Line("11.13.2", "It has no errors."),
    Line(
        "11.13.3",
        "It runs with agents.",
        "Small programs that speak as the real ones do; the matrix runs the real ones.",
    ),
    Line("11.13.4", "The run succeeds, and every agent stage has left its files."),
    Line("11.13.5", "Its goal gate is satisfied."),
    Line("11.13.6", "The checkpoint stands at the exit and names every stage as finished."),
)
