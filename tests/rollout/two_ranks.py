"""One of two processes that train together: an engine each, beside a process group as Lightning forms it.

Usage: python two_ranks.py RANK PORT MODEL_FOLDER; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys

import torch
import torch.distributed as dist

from lmm_r1.models.loading import load_policy, merged_state_dict
from lmm_r1.rollout.vllm_engine import VLLMEngine
from lmm_r1.types import Problem, Sampling


def main(rank: int, port: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    policy = load_policy(folder, "float32")
    engine = VLLMEngine(
        folder,
        dtype="float32",
        system_prompt=None,
        min_pixels=None,
        max_pixels=None,
        max_model_len=256,
        max_num_seqs=8,
        max_images=1,
        enforce_eager=True,
        gpu_memory_utilization=0.1,
        kv_cache_gib=0.125,
    )
    own = [Problem(str(i), f"What is {i} + {rank}?", "?") for i in range(1 + 2 * rank)]
    for version in (1, 2):
        with torch.no_grad():
            policy.get_input_embeddings().weight.mul_(1.5)
        engine.load_weights(merged_state_dict(policy), version)
        # As many problems and tokens as the rank likes: an engine that waited for the other rank would hang here.
        engine.generate(own, Sampling(2, 1.0, 4 + 8 * rank), range(0, 4096 * len(own), 4096))
        dist.barrier()
    shared = Problem("shared", "What is 3 + 4?", "7")
    (group,) = engine.generate([shared], Sampling(2, 1.0, 16), [0])
    engine.close()
    total = torch.tensor(rank + 1)
    dist.all_reduce(total)
    print(json.dumps({"tokens": [one.token_ids for one in group.completions], "total": int(total)}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
