"""The folder a run works in, and its git history: the only package that touches git."""

from attractor.workspace.commits import GitWorkspace
from attractor.workspace.leftovers import remove_tree
from attractor.workspace.names import (
    DEFAULT_PREFIX,
    NESTING,
    check_prefix,
    check_run_id,
    new_run_id,
    parallel_branch,
    parallel_branches,
    prefix_of,
    run_branch,
)
from attractor.workspace.plain import PlainFolder
from attractor.workspace.program import without_git_variables, worktree_variables
from attractor.workspace.repository import RepositoryFacts, branch_exists, check_branch_free, inspect_repository
from attractor.workspace.restoring import commit_exists, set_aside_branches
from attractor.workspace.trees import GitTrees
from attractor.workspace.worktree import (
    create_worktree,
    fork_worktree,
    remove_branches,
    remove_worktree,
    restore_worktree,
)

__all__ = [
    "DEFAULT_PREFIX",
    "NESTING",
    "GitTrees",
    "GitWorkspace",
    "PlainFolder",
    "RepositoryFacts",
    "branch_exists",
    "check_branch_free",
    "check_prefix",
    "check_run_id",
    "commit_exists",
    "create_worktree",
    "fork_worktree",
    "inspect_repository",
    "new_run_id",
    "parallel_branch",
    "parallel_branches",
    "prefix_of",
    "remove_branches",
    "remove_tree",
    "remove_worktree",
    "restore_worktree",
    "run_branch",
    "set_aside_branches",
    "without_git_variables",
    "worktree_variables",
]
