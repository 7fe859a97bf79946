"""One run of a stage, from settings to what it leaves on disk."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from lmm_r1.atomic_files import write_text
from lmm_r1.models.loading import save_export
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.reporting.report import write_report
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training import lineage
from lmm_r1.training.assembly import load_policy_and_processor, policy_module, random_model
from lmm_r1.training.batch import PromptSchedule, RolloutBatch, StepLoader
from lmm_r1.training.checkpoint_folder import CHECKPOINTS, clear_up, newest_sound_checkpoint, steps_in
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.continuation import (
    Conditions,
    ScheduleOfResumedRun,
    check_continuation,
    current_conditions,
    note_conditions,
)
from lmm_r1.training.finish import SUMMARY, finish
from lmm_r1.training.finite_updates import FiniteUpdates
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.machine_use import costs_of_run, totals, use_of_run
from lmm_r1.training.metrics_file import MetricsFile
from lmm_r1.training.parts import Parts, Training
from lmm_r1.training.phases import Phases
from lmm_r1.training.process import lightning_trainer, prepare_process
from lmm_r1.training.recorder import Recorder
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.room import check_room
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.training.settings import (
    AlgorithmSettings,
    SupervisedSettings,
)
from lmm_r1.training.supervised import SupervisedModule
from lmm_r1.training.usable import usable_data
from lmm_r1.training.validation import Validator

log = logging.getLogger(__name__)


def run_reinforcement(parts: Parts, algorithm: AlgorithmSettings) -> None:
    """RL on verifiable problems: FRE and MGT differ in data and starting weights alone."""
    phases = Phases()
    with phases("start"):
        start, parent = lineage.resolve_start(parts.run.init_from, parts.model.path)
        check_room(parts.run.folder, start, parts.model, parts.trainer, algorithm.critic)
        conditions = _conditions(parts, start)
        prepare_process(parts.trainer, parts.run.seed)
        data = usable_data(parts.run, parts.rollout, start, parts.train_data, parts.validation_data)
        policy, processor = load_policy_and_processor(parts.model, start)
        module = policy_module(
            policy,
            parts.model,
            algorithm,
            start,
            temperature=parts.rollout.temperature,
            banned_token_ids=banned_token_ids(processor, policy.config),
            steps=parts.trainer.steps,
            phases=phases,
            seed=parts.run.seed,
        )
    sampler = PolicySampler(lambda: parts.rollout.engine(model_path=start), parts.reward, phases)
    rollouts = RolloutCallback(
        sampler,
        algorithm,
        processor,
        parts.rollout.training,
        RolloutStore(parts.run.folder / "rollouts"),
        seed=parts.run.seed,
        bad_rows=data.bad_rows,
    )
    costs = costs_of_run(start, parts.model, algorithm, parts.trainer, parts.rollout.engine.keywords)
    training = Training(
        module=module,
        sampler=sampler,
        schedule=ScheduleOfResumedRun(algorithm.learning_rates),
        data=data,
        callbacks=[rollouts, costs],
        measured=lambda: data.bad_rows.metrics | rollouts.metrics | module.metrics | costs.metrics,
        batch_size=parts.trainer.prompts_per_step,
        collate=RolloutBatch,
        processor=processor,
        start=start,
        conditions=conditions,
        parent=parent,
        algorithm=algorithm.name,
    )
    _fit(parts, training)


def run_supervised(parts: Parts, settings: SupervisedSettings) -> None:
    """Maximum likelihood on generated traces: how the tiny model comes by what it knows before RL."""
    phases = Phases()
    with phases("start"):
        prepare_process(parts.trainer, parts.run.seed)
        start = parts.model.path
        if settings.build:
            start = random_model(parts.run.folder / "initial", settings.build, parts.train_data, parts.run.seed)
        check_room(parts.run.folder, start, parts.model, parts.trainer, None)
        conditions = _conditions(parts, start)
        data = usable_data(parts.run, parts.rollout, start, parts.train_data, parts.validation_data, supervised=True)
        policy, processor = load_policy_and_processor(parts.model, start)
        module = SupervisedModule(
            policy,
            processor,
            settings,
            system_prompt=parts.model.system_prompt,
            banned_token_ids=banned_token_ids(processor, policy.config),
            steps=parts.trainer.steps,
            phases=phases,
        )
    training = Training(
        module=module,
        sampler=PolicySampler(lambda: parts.rollout.engine(model_path=start), parts.reward, phases),
        schedule=ScheduleOfResumedRun([settings.learning_rate]),
        data=data,
        callbacks=[],
        measured=lambda: data.bad_rows.metrics | module.metrics,
        batch_size=settings.batch_size,
        collate=list,
        processor=processor,
        start=start,
        conditions=conditions,
        parent=None,
        algorithm=None,
    )
    _fit(parts, training)


def _conditions(parts: Parts, start: str) -> Conditions:
    """What the run is made with from here on; of the first process alone, which starts the others."""
    conditions = current_conditions(parts.train_data, parts.validation_data, start)
    if parts.run.resume and rank_zero_only.rank == 0:
        check_continuation(parts.run.folder, conditions)
    return conditions


def _fit(parts: Parts, training: Training) -> None:
    """Train from the newest sound checkpoint or from the start, and leave what a run leaves."""
    run, settings, module = parts.run, parts.trainer, training.module
    checkpoint = newest_sound_checkpoint(run.folder / CHECKPOINTS) if run.resume else None
    first_step = steps_in(checkpoint) if checkpoint else 0
    if first_step == settings.steps:
        log.info("all %d steps are done; what is missing of export, summary and report is made", first_step)
    recorder = _recorder(parts, training, checkpoint)
    interrupts = Interrupts()
    saver = Checkpoints(
        run.folder / CHECKPOINTS,
        interrupts,
        every=settings.checkpoint_every,
        keep=settings.keep_checkpoints,
        steps=settings.steps,
        resume=checkpoint,
    )
    finite = FiniteUpdates(run.folder, most_skipped=settings.max_skipped_steps, replay=run.replay)
    begin, end = [interrupts, training.schedule, training.data.bad_rows], [finite, recorder, saver]
    trainer = lightning_trainer(settings, run.folder, [*begin, *training.callbacks, *end])
    schedule = PromptSchedule(
        size=len(training.data.train),
        prompts_per_step=training.batch_size,
        steps=settings.steps,
        first_step=first_step,
        seed=run.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        keys=training.data.order_keys,
    )
    wandb_run, complete = parts.wandb_run, False
    try:
        trainer.fit(module, StepLoader(training.data.train, schedule, training.collate))
        if interrupts.received is None and trainer.is_global_zero:
            products = {
                "export": lambda: save_export(module.policy, training.processor, run.folder / "export"),
                SUMMARY: lambda: _write_summary(parts, training, recorder),
                "report.html": lambda: write_report(run.folder),
            }
            finish(run.folder, products, steps=module.steps_done, trained=module.steps_done > first_step)
            log.info("finished: %s", run.folder)
        complete = interrupts.received is None
    finally:
        training.sampler.close()
        if wandb_run is not None:
            wandb_run.close(exit_code=0 if complete else 1)
    if interrupts.received is not None:
        log.warning("stopped after step %d; go on with: python train.py resume=%s", module.steps_done, run.folder)
        raise SystemExit(128 + interrupts.received)


def _recorder(parts: Parts, training: Training, checkpoint: Path | None) -> Recorder:
    """The recorder; what an interrupted run did after the checkpoint is gone from the disk, and will be done again."""
    run, settings = parts.run, parts.trainer
    kept = steps_in(checkpoint) if checkpoint else None
    validations = RolloutStore(run.folder / "validation")
    table = None
    if rank_zero_only.rank == 0:
        clear_up(run.folder, checkpoint)
        note_conditions(run.folder, training.conditions, first_step=kept or 0)
        RolloutStore(run.folder / "rollouts").truncate_after(-1 if kept is None else kept - 1)
        validations.truncate_after(-1 if kept is None else kept)
        table = MetricsFile(run.folder / "metrics.csv", keep_through=kept)
    validator = Validator(
        training.sampler,
        training.data.validation,
        parts.rollout.validation,
        validations,
        batch_size=settings.validation_batch_size,
        seed=run.seed,
        bad_rows=training.data.bad_rows,
    )
    return Recorder(
        training.measured,
        validator,
        table,
        parts.wandb_run,
        training.sampler.phases,
        use_of_run(settings, parts.rollout.engine.keywords),
        steps=settings.steps,
        validate_every=settings.validate_every,
        begun=parts.begun,
    )


def _write_summary(parts: Parts, training: Training, recorder: Recorder) -> None:
    summary = {
        "stage": parts.run.stage,
        "seed": parts.run.seed,
        "algorithm": training.algorithm,
        "parent": training.parent,
        "model_path": training.start,
        "steps": training.module.steps_done,
        "wall_seconds": training.sampler.phases.run(),
        "machine": totals(recorder.table.rows),
        "validation": {"initial": recorder.initial_validation, "final": recorder.last_validation},
        "config_hash": lineage.config_fingerprint(parts.config),
        "data_hash": lineage.data_fingerprint(parts.train_data),
        "versions": lineage.versions(),
        "git_commit": lineage.git_commit(),
    }
    write_text(parts.run.folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
