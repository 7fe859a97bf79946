"""Breaks the verifier in many ways, one at a time, and sees a test fail for each: `make mutants`.

A guard that no test misses is a guard that somebody will remove. Each mutation is made in a copy of the tree and met by
the tests named beside it. Exit code 1 if one survives, or no longer finds its place.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
REWARDS = Path("src/lmm_r1/rewards")


class Mutation(NamedTuple):
    file: str
    """Below `REWARDS`."""
    snippet: str
    """What stands there; occurs exactly once."""
    replacement: str
    why: str
    """What the snippet is for, and is lost."""
    tests: str
    """Below `tests/rewards`: files or single tests, separated by spaces."""


POOL = "test_pool.py::"
HOSTILE = "test_hostile.py::"
FORMAT = "test_extract_and_format.py"

MUTATIONS = [
    # the pool
    Mutation(
        "worker.py",
        "with processor_limit(seconds):",
        "if True:",
        "an operation inside C ends with its processor time",
        POOL + "test_an_endless_computation_is_killed_and_the_pool_lives",
    ),
    Mutation(
        "worker.py",
        "    limit_memory(memory_gib)\n",
        "",
        "a worker's memory is bounded",
        POOL + "test_a_worker_out_of_memory_is_a_verdict_and_the_pool_lives "
        + POOL + "test_workers_that_cannot_start_raise",
    ),
    Mutation(
        "worker.py",
        "    if verdict.reason in _END:\n",
        "    if False:\n",
        "a worker that was interrupted is not used again",
        POOL + "test_an_interrupted_worker_is_not_used_again",
    ),
    Mutation(
        "worker.py",
        "signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}",
        "signal.SIG_BLOCK, {signal.SIGINT}",
        "a scheduler's SIGTERM does not take the workers from a step that finishes",
        POOL + "test_signals_to_the_whole_job_do_not_reach_the_workers",
    ),
    Mutation(
        "worker.py",
        'importlib.machinery.ModuleSpec("lmm_r1.__main__", loader=None)',
        "specification",
        "workers do not import the main script and what it imports",
        POOL + "test_a_hydra_script_with_torch_works_and_leaves_no_orphan",
    ),
    Mutation(
        "pool.py",
        'if verdict.reason in ("timeout", "killed"):\n            return',
        "if False:\n            return",
        "what depends on the machine is not remembered",
        POOL + "test_a_timeout_is_not_remembered",
    ),
    Mutation(
        "pool.py",
        "while len(self._cache) > self.cache_size:",
        "while False:",
        "the cache is bounded",
        POOL + "test_the_cache_is_bounded",
    ),
    Mutation(
        "pool.py",
        "distinct = list(dict.fromkeys(claims))",
        "distinct = list(claims)",
        "equal claims are judged once",
        POOL + "test_what_happened_is_counted",
    ),
    Mutation(
        "pool.py",
        "if expired.exitcode == -signal.SIGXCPU:",
        "if expired.exitcode == 0:",
        "a timeout is told from a death",
        POOL + "test_an_endless_computation_is_killed_and_the_pool_lives",
    ),
    Mutation(
        "pool.py",
        "                if last_attempt:\n                    raise\n",
        "                raise\n",
        "an idle worker that dies does not take the run down",
        POOL + "test_a_worker_that_dies_without_a_claim_is_replaced",
    ),
    Mutation(
        "pool.py",
        "            if not pool.active:\n",
        "            if False:\n",
        "nobody waits for a pool that was closed",
        POOL + "test_closing_under_a_batch_raises_in_the_thread_that_waits",
    ),
    Mutation(
        "pool.py",
        "weakref.finalize(self, _stop, pool, os.getpid())",
        "lambda: _stop(pool, os.getpid())",
        "a pool that is dropped leaves no process",
        POOL + "test_a_pool_that_nobody_closed_leaves_no_process",
    ),
    Mutation(
        "pool.py",
        "return [verdicts[claim] for claim in claims]",
        "return [verdicts[claim] for claim in distinct]",
        "verdicts are in the order of the claims",
        POOL + "test_equal_claims_are_judged_once_and_remembered",
    ),
    # before the workers
    Mutation(
        "verify.py",
        "if len(claim.answer) > LONGEST_ANSWER:",
        "if False:",
        "what comes before the workers is bounded",
        HOSTILE + "test_the_quick_verdict_is_quick_on_everything",
    ),
    Mutation(
        "extract.py",
        r'r"<\s*(?:/\s*)?answer\b',
        r'r"<\s*/?\s*answer\b',
        "a tag is found in linear time",
        HOSTILE + "test_no_expression_takes_more_than_linear_time_on_a_response",
    ),
    Mutation(
        "extract.py",
        r"(?:is|:)\s*(?::\s*)?([^\n]+)",
        r"(?:is|:)\s*:?\s*([^\n]+)",
        "an announcement is found in linear time",
        HOSTILE + "test_no_expression_takes_more_than_linear_time_on_a_response",
    ),
    Mutation(
        "limits.py",
        "signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)",
        "pass",
        "algebra in this process has a time limit",
        "test_verify.py::test_reasons",
    ),
    Mutation(
        "verify.py",
        "    except MemoryError:\n",
        "    except ZeroDivisionError:\n",
        "running out of memory is a verdict",
        POOL + "test_running_out_of_memory_in_this_process_is_a_verdict",
    ),
    # which answer counts
    Mutation(
        "extract.py",
        "if tuple(tag.group().lower() for tag in tags) != _EXACT_TAGS:\n        return None",
        "if len(tags) < 2:\n        return None",
        "two answers are none",
        FORMAT,
    ),
    Mutation(
        "extract.py",
        "text[tags[0].end() : tags[1].start()]",
        "text[tags[1].end() :]",
        "the answer stands between its tags",
        FORMAT,
    ),
    Mutation(
        "extract.py",
        "answer = boxes[-1]",
        "answer = boxes[0]",
        "the last box of a response counts",
        FORMAT,
    ),
    # the format
    Mutation(
        "format.py",
        "truncated or [tag.lower() for tag in _TAG_LIKE.findall(text)] != _TAGS_IN_ORDER",
        "truncated",
        "each tag once, and in order",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "if truncated or [tag",
        "if [tag",
        "a truncated response keeps no format",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "not in _PLACEHOLDERS",
        "is not None",
        "the prompt's own placeholder is no answer",
        FORMAT,
    ),
    Mutation(
        "format.py",
        "len(answer) > LONGEST_ANSWER or ",
        "",
        "a list of every number is no answer",
        FORMAT,
    ),
    Mutation(
        "format.py",
        " or len(boxed_contents(answer)) > 1",
        "",
        "two boxes are no answer",
        FORMAT,
    ),
    # what the reward adds up
    Mutation(
        "compose.py",
        "self.weights[name] * value",
        "value",
        "terms are weighted",
        "test_compose.py::test_each_term_is_reported_before_its_weight",
    ),
    # the judges
    Mutation(
        "answers/choice.py",
        "if index is not None and options and options[index] == _normal(both[2]):",
        "if index is not None:",
        "a letter with another option's text picks nothing",
        "test_verify.py::test_choice",
    ),
    Mutation(
        "answers/choice.py",
        "return index if index < (count or _WITHOUT_CHOICES) else None",
        "return index",
        "letters are limited to the options",
        "test_verify.py::test_choice",
    ),
    Mutation(
        "answers/words.py",
        "_POLARITY.get(_normal(text).rstrip(\"!\"))",
        "_POLARITY.get(_normal(text)[:3].strip())",
        "yes or no is the whole answer",
        "test_verify.py::test_yes_no",
    ),
    Mutation(
        "answers/mathematics.py",
        "if given is None or _hopeless(given):",
        "if given is None:",
        "what would not end is not parsed",
        HOSTILE + "test_hostile_answers_are_wrong_and_the_others_are_judged_as_ever",
    ),
    Mutation(
        "answers/mathematics.py",
        "verify(gold, answer, timeout_seconds=None)",
        "verify(answer, gold, timeout_seconds=None)",
        "the gold comes first: the order matters for relations",
        "test_determinism.py test_verify.py",
    ),
    Mutation(
        "answers/mathematics.py",
        'return "ok" if _close(gold[0], answer[0]) else "wrong"',
        'return "ok"',
        "small numbers that round to the same are not the same",
        "test_verify.py::test_wrong_answers",
    ),
    Mutation(
        "answers/mathematics.py",
        "if given is None or _differs_in_form(expected, given):",
        "if given is None:",
        "a set is no tuple and a list no value",
        "test_verify.py::test_wrong_answers",
    ),
    Mutation(
        "answers/mathematics.py",
        "percent|",
        "",
        "5 percent is not 5",
        "test_verify.py::test_wrong_answers",
    ),
]  # fmt: skip


def places(mutation: Mutation, root: Path = REPOSITORY) -> int:
    """How often the snippet stands in its file."""
    return (root / REWARDS / mutation.file).read_text(encoding="utf-8").count(mutation.snippet)


def killed(mutation: Mutation, root: Path) -> bool:
    """Whether a test fails with the mutation made in the tree at `root`, which is left as it was."""
    path = root / REWARDS / mutation.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutation.snippet, mutation.replacement), encoding="utf-8")
    tests = [f"tests/rewards/{test}" for test in mutation.tests.split()]
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(original, encoding="utf-8")
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {run.returncode} on {mutation.tests}")
    return run.returncode == 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutations whose file or reason contains this")
    only = parser.parse_args().only
    chosen = [mutation for mutation in MUTATIONS if only in f"{mutation.file} {mutation.why}"]
    left = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("src", "tests", "conf"):
            shutil.copytree(REPOSITORY / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "pyproject.toml", root)
        for mutation in chosen:
            if places(mutation) != 1:
                result = f"FOUND {places(mutation)} TIMES"
            else:
                result = "killed" if killed(mutation, root) else "SURVIVED"
            left += result != "killed"
            print(f"{result:15} {mutation.file:24} {mutation.why}", flush=True)
    print(f"{len(chosen) - left} of {len(chosen)} mutations are noticed")
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
