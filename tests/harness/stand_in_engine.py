"""A tiny engine with the command line and files the harness expects: enough to test the harness, not to use.

Runs a chain of tool nodes in a worktree, one commit a node, with events, checkpoint and final.json. No
CXDB. `--bug=NAME` in front of the subcommand plants a defect, so that tests see checks turn red.
"""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

IDENTITY = ["-c", "user.name=stand-in", "-c", "user.email=stand-in@example.invalid"]


def say(text, file=sys.stdout):
    file.write(text + "\n")


def options(words):
    return dict(word.removeprefix("--").partition("=")[::2] for word in words)


def git(repo, *words):
    return subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True, text=True).stdout.strip()


class Run:
    def __init__(self, given, bug):
        self.root = Path(given["logs-root"]).absolute()
        self.bug = bug
        self.progress = self.root / "progress.ndjson"
        self.seq = len(self.progress.read_text().splitlines()) if self.progress.exists() else 0

    def begin(self, given):
        self.root.mkdir(parents=True)
        repo = json.loads(Path(given["config"]).read_text())["repo"]["path"]
        branch = f"attractor/run/{given['run-id']}"
        self.facts = {
            "run_id": given["run-id"],
            "repo_path": repo,
            "base_sha": git(repo, "rev-parse", "HEAD"),
            "run_branch": branch,
            "worktree": str(self.root / "worktree"),
            "graph_dot": Path(given["graph"]).read_text(),
        }
        (self.root / "manifest.json").write_text(json.dumps(self.facts))
        git(repo, "worktree", "add", "-q", "-b", branch, str(self.root / "worktree"))

    def event(self, name, **more):
        self.seq += 2 if self.bug == "seq-gap" else 1
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {"seq": self.seq, "ts": now, "run_id": self.facts["run_id"], "event": name, **more}
        with self.progress.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def go_on(self):
        (self.root / "run.pid").write_text(f"{os.getpid()}\n")
        self.facts = json.loads((self.root / "manifest.json").read_text())
        checkpoint = self.root / "checkpoint.json"
        done = json.loads(checkpoint.read_text())["completed_nodes"] if checkpoint.exists() else []
        if done:
            self.event("run_resumed", after_node=done[-1])
        else:
            self.event("run_started", **{key: self.facts[key] for key in ("base_sha", "run_branch")})
        for node in self.nodes()[len(done) :]:
            if not self.node(node, done):
                return self.end("run_failed", "fail", done)
        return self.end("run_completed", "success", done)

    def nodes(self):
        chain = re.search(r"(\w+(?:\s*->\s*\w+)+)", self.facts["graph_dot"])
        return re.findall(r"\w+", chain[1])

    def node(self, node, done):
        found = re.search(rf'\b{node}\s*\[[^]]*tool_command="((?:\\.|[^"\\])*)"', self.facts["graph_dot"])
        self.event("stage_attempt_start", node_id=node, attempt=1)
        status = "success"
        if found:
            env = os.environ | {"ATTRACTOR_LOGS_ROOT": str(self.root)}
            code = subprocess.run(["sh", "-c", found[1]], cwd=self.facts["worktree"], env=env, check=False).returncode
            status = "success" if code == 0 else "fail"
        self.event("stage_attempt_end", node_id=node, attempt=1, status=status)
        done.append(node)
        sha = self.commit(node, status, len(done))
        state = {"completed_nodes": done, "git_commit_sha": sha}
        (self.root / "checkpoint.json").write_text(json.dumps(state))
        self.event("checkpoint_saved", node_id=node, git_commit_sha=sha)
        return status == "success"

    def commit(self, node, status, number):
        run_id, tree = self.facts["run_id"], self.facts["worktree"]
        trailers = f"Attractor-Run: {run_id}\nAttractor-Node: {node}\nAttractor-Sequence: {number}"
        git(tree, "add", "--all")
        for _ in range(2 if self.bug == "double-commit" else 1):
            message = f"attractor({run_id}): {node} ({status})\n\n{trailers}"
            git(tree, *IDENTITY, "commit", "-q", "--allow-empty", "-m", message)
        return git(tree, "rev-parse", "HEAD")

    def end(self, event, status, done):
        sha = git(self.facts["worktree"], "rev-parse", "HEAD")
        self.event(event, status=status, final_git_commit_sha=sha)
        final = {"status": status, "run_id": self.facts["run_id"], "final_git_commit_sha": sha}
        if self.bug != "no-final":
            aside = self.root / ".final"
            aside.write_text(json.dumps(final))
            aside.replace(self.root / "final.json")
        if self.bug == "leak":
            subprocess.Popen(["sleep", "20"], start_new_session=True)
        if self.bug == "touch-checkout":
            (Path(self.facts["repo_path"]) / "stray.txt").write_text("stray")
        say(f"run_id={self.facts['run_id']}\nlogs_root={self.root}\nfinal_commit={sha}")
        return 0 if status == "success" else 1


def detach(run, bug):
    with (run.root / "run.out").open("ab") as out:
        words = [sys.executable, __file__, f"--bug={bug}", "resume", f"--logs-root={run.root}"]
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=bug != "no-setsid"
        )
    (run.root / "run.pid").write_text(f"{child.pid}\n")
    say(f"detached=true\nrun_id={run.facts['run_id']}\nlogs_root={run.root}\npid_file={run.root / 'run.pid'}")
    return 0


def main(words):
    bug = words.pop(0).partition("=")[2] if words[0].startswith("--bug=") else ""
    given = options(words[1:])
    run = Run(given, bug)
    if words[0] == "run":
        if given["run-id"] in ("", ".."):
            say("bad run id", file=sys.stderr)
            return 2
        run.begin(given)
        if "detach" in given:
            return detach(run, bug)
    return run.go_on()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
