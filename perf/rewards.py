"""How fast a training step's answers are verified, beside the usual ways.

    PYTHONPATH=src:. python perf/rewards.py > perf/results/rewards.md

One batch as LMM-R1's FRE makes it, 256 groups of 16, from published responses of real models where they are at hand
(`--responses`), otherwise made up. All contenders judge the same texts in one run, in turns; a figure is the median of
the rounds. The slow ones judge a part of the batch that has the same mixture, and are compared by verdicts a second.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.extract import last_answer
from lmm_r1.types import Completion, Problem
from tests.rewards.hostile_answers import CHEAP, DEAR

REPOSITORY = Path(__file__).resolve().parent.parent
GROUPS, SAMPLES = 256, 16
Item = tuple[Problem, Completion]
HOW_TO_GET_TRL = "TRL is not installed: pip install --no-deps --target DIR trl==1.16.0, and PYTHONPATH=DIR"


def item(problem: Problem, response: str, answer: str) -> Item:
    # The answer stands in a box, because TRL looks nowhere else.
    text = f"<think>{response}</think>\n<answer>\\boxed{{{answer}}}</answer>"
    return problem, Completion((), (), text, "stop", 0)


def group(problem: Problem, pairs: list[tuple[str, str]]) -> list[Item]:
    """Sixteen completions: the responses there are, over and over."""
    return [item(problem, *pairs[sample % len(pairs)]) for sample in range(SAMPLES)]


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def real_groups(folder: Path) -> Iterator[list[Item]]:
    """Groups of MATH (8 responses each), GSM8K (4) and MATH-V (3), in turn."""
    for row in rows(folder / "qwen_math_cot_100/math_cot_100.jsonl"):
        problem = Problem(id=f"math-{row['idx']}", question=row["question"], answer=row["gt"])
        yield group(problem, [(response, last_answer(response) or "?") for response in row["response"]])
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    for number, row in enumerate(rows(folder / "gsm8k/example_model_solutions.jsonl")[:78]):
        gold = row["ground_truth"].rsplit("A:", 1)[1].strip()
        problem = Problem(id=f"gsm8k-{number}", question=row["question"], answer=gold)
        solutions = [row[model]["solution"] for model in models]
        yield group(problem, [(text, text.rsplit("A:", 1)[-1].strip()) for text in solutions])
    outputs = [
        {row["id"]: row for row in rows(folder / f"math_v/{model}.jsonl")}
        for model in ("gemini_pro_cot", "internlm_xcomposer2_vl_cot", "qwen_vl_max_cot")
    ]
    for row in rows(folder / "math_v/gold.jsonl")[:78]:
        kind, options = ("choice", tuple(row["options"])) if row["options"] else ("math", ())
        gold = row["answer"]
        problem = Problem(id=f"math_v-{row['id']}", question="", answer=gold, answer_type=kind, choices=options)
        yield group(problem, [(one[row["id"]]["response"], one[row["id"]]["model_answer"] or "?") for one in outputs])


def made_up_groups() -> Iterator[list[Item]]:
    for n in range(GROUPS):
        gold, others = (str(n), (f"{n}.0", f"{n + 1}", "none")) if n % 2 else (f"(x+{n})^2", (f"x^2+{2 * n}x+{n * n}",))
        yield group(Problem(id=str(n), question="", answer=gold), [("so " * 300, answer) for answer in (gold, *others)])


def with_hostile(batch: list[Item]) -> list[Item]:
    """The batch with one answer in a hundred hostile: each in its turn, those that cost most included."""
    hostile = [*DEAR.values(), *CHEAP.values()]
    batch = list(batch)
    places = random.Random(1).sample(range(len(batch)), len(batch) // 100)
    for number, place in enumerate(places):
        problem = batch[place][0]
        text = f"<think>so</think><answer>{hostile[number % len(hostile)]}</answer>"
        batch[place] = (problem, Completion((), (), text, "stop", 0))
    return batch


def naive(batch: list[Item]) -> int:
    """math_verify for each response, gold parsed each time: how many are right."""
    from math_verify import parse, verify

    return sum(verify(parse(f"${problem.answer}$"), parse(completion.text)) for problem, completion in batch)


def trl(batch: list[Item]) -> int:
    from trl.rewards import accuracy_reward

    contents = [[{"role": "assistant", "content": completion.text}] for _, completion in batch]
    return int(sum(accuracy_reward(contents, [f"${problem.answer}$" for problem, _ in batch])))


def processor_seconds() -> float:
    """Of this process and its children, the living and the dead."""
    dead = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for child in multiprocessing.active_children():
        ticks += sum(map(int, Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return time.process_time() + dead.ru_utime + dead.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def timed(judge: Callable[[list[Item]], int], batch: list[Item]) -> tuple[float, float, int]:
    """Seconds of wall clock, seconds of processor time, right answers."""
    start, used = time.perf_counter(), processor_seconds()
    right = judge(batch)
    return time.perf_counter() - start, processor_seconds() - used, right


def ours(workers: int) -> tuple[AnswerAccuracy, Callable[[list[Item]], int]]:
    """Fresh, with its workers running and nothing remembered of the batch."""
    accuracy = AnswerAccuracy(workers=workers)
    warm = [
        item(Problem(id="", question="", answer=f"(y+{n})^2"), "", f"y^2+{2 * n}y+{n * n}") for n in range(4 * workers)
    ]
    accuracy.judge(warm)
    return accuracy, lambda batch: sum(verdict.correct for verdict in accuracy.judge(batch))


def line(name: str, runs: list[tuple[float, float, int]], size: int, base: float | None) -> str:
    seconds, used = (statistics.median(run[place] for run in runs) for place in (0, 1))
    ratio = f"{size / seconds / base:.1f}" if base else ""
    return f"| {name} | {size} | {runs[0][2]} | {seconds:.2f} | {used:.2f} | {size / seconds:,.0f} | {ratio} |"


def measure(batch: list[Item], arguments: argparse.Namespace) -> None:
    part = batch[: arguments.part * SAMPLES]
    slow = {"math_verify, parse and verify for each": naive}
    if importlib.util.find_spec("trl"):
        slow["TRL's accuracy_reward"] = trl
    else:
        print(HOW_TO_GET_TRL)
    different = list(
        {(problem.answer, completion.text): (problem, completion) for problem, completion in batch}.values()
    )
    fresh, again, once, runs, counts = [], [], [], {name: [] for name in slow}, {}
    for _ in range(arguments.rounds):
        accuracy, judge = ours(arguments.workers)
        fresh.append(timed(judge, batch))
        counts = accuracy.statistics()
        again.append(timed(judge, batch))
        accuracy.close()
        accuracy, judge = ours(arguments.workers)
        once.append(timed(judge, different))
        accuracy.close()
        for name, contender in slow.items():
            runs[name].append(timed(contender, part))
    accuracy, judge = ours(arguments.workers)
    hostile = [timed(judge, with_hostile(batch))]
    hostile_counts = accuracy.statistics()
    accuracy.close()

    base = len(part) / statistics.median(run[0] for run in runs["math_verify, parse and verify for each"])
    print("| contender | verdicts | right | wall s | processor s | verdicts/s | times math_verify |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for name, found in runs.items():
        print(line(name, found, len(part), base))
    print(line("AnswerAccuracy", fresh, len(batch), base))
    print(line("AnswerAccuracy, each response of it once", once, len(different), base))
    print(line("AnswerAccuracy, the same batch again", again, len(batch), base))
    print(line("AnswerAccuracy, 1 % hostile", hostile, len(batch), base))
    for name, count in (("nothing hostile", counts), ("1 % hostile", hostile_counts)):
        print(f"\n{name}: " + ", ".join(f"{key} {value:g}" for key, value in count.items() if key != "seconds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=Path, default=REPOSITORY.parent / "shared/data/responses")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part", type=int, default=32, help="groups that the slow contenders judge")
    arguments = parser.parse_args()
    found = arguments.responses.is_dir()
    groups = list(real_groups(arguments.responses) if found else made_up_groups())
    random.Random(0).shuffle(groups)
    batch = [one for members in groups[:GROUPS] for one in members]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("math-verify", "sympy", "pebble"))
    models = [row.split(":", 1)[1] for row in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in row]
    print(f"{len(batch)} {'real' if found else 'made-up'} responses; Python {platform.python_version()}, {versions}")
    machine = f"{models[0].strip()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; {arguments.rounds} rounds in turn\n")
    measure(batch, arguments)


if __name__ == "__main__":
    main()
