"""The training loop: one `Training` is one configuration being trained, an epoch a call.

    run = Training(config, data, device, seed)
    while not run.finished:
        row = run.epoch()

Every random draw of an epoch (order, augmentation, dropout) follows from (seed, epoch) alone, so
weights, optimizer and history are the whole state: a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import math
import random
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from objectives import graph, losses, model, optimizers, rows, schedules, scores, stepping, together
from objectives.averaging import Averages
from objectives.config import TrainConfig
from objectives.feed import Data
from objectives.graph import GraphedSteps
from objectives.loss_scaling import LossScale
from objectives.rows import COLUMNS, Row

STATE = (
    *("history", "phase_ends", "best_epoch", "best_value", "best_weights"),
    *("reason", "phase_best", "waited"),
)


class Training:
    """One configuration in training. `config.precision` is a precision here, never auto.

    A phase is one fit in Keras' sense: its own optimizer and patience, at most `epochs` epochs.
    Only `schedule: phases` has more than one. epochs: after which a training without validation
    images ends, whatever `config.epochs` plans. eager_because: why a GPU is not to use a graph; ""
    lets it. Raises ValueError where the configuration does not suit the data, MemoryError where a
    batch does not fit the host.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: Data,
        device: torch.device,
        seed: int,
        *,
        epochs: int | None = None,
        eager_because: str = "",
    ) -> None:
        self.config, self.data, self.device, self.seed = config, data, device, seed
        self.epochs = together.epochs(config, data, epochs)
        torch.manual_seed(derived_seed(seed, 0))
        self.model = model.Model(config, data, device)
        self._choose_scores()
        self.history: list[Row] = []
        self.phase_ends: list[int] = []  # how many epochs had run at the end of each phase
        self.best_epoch, self.best_value = -1, -math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.reason = ""
        self.began_with = ""  # the digest of another model, where its weights were put in
        self.eager_because = self._asked = eager_because  # why a GPU runs step by step
        self._graph: GraphedSteps | None = None
        self.averages: Averages | None = None
        self.phase_best, self.waited = -math.inf, 0
        self._make_optimizer()

    @property
    def finished(self) -> bool:
        """Whether every phase has run to its end."""
        return len(self.phase_ends) == len(self._phases)

    @property
    def reported(self) -> str:
        """The column of the history that is told of each epoch, and whose value is returned."""
        return "loss" if self.epochs else self.config.score

    @property
    def score(self) -> float:
        """What the weights at hand are worth: the best monitored epoch's score, or the last's;
        without validation images the loss of the last epoch's training."""
        epoch = self.best_epoch if self.config.restore_best_weights else -1
        return self.history[epoch][self.reported]

    @property
    def columns(self) -> tuple[str, ...]:
        """What a row of the history holds, in order."""
        return *COLUMNS[: 2 if self.epochs else 4], *self._more, *COLUMNS[4:]

    def _choose_scores(self) -> None:
        """Beside loss and accuracy those of `score` and `monitor`, of both splits where it can be.

        Raises ValueError where the validation images do not suit them.
        """
        wanted, classes = (self.config.score, self.config.monitor), self.data.classes
        self._validated = () if self.epochs else scores.of(*wanted)
        if self._validated:
            absent = scores.absent(self.data.validation.labels, self.data.names or range(classes))
            scores.check(wanted, classes, absent)
        trained = [name for name in self._validated if name in scores.IN_TRAINING]
        self._tally = scores.Tally(trained, classes, self.device)
        self._more = (*trained, *(f"val_{name}" for name in self._validated))

    @property
    def _phases(self) -> tuple[float, ...]:
        return self.config.phases or (self.config.lr,)

    @property
    def _in_phase(self) -> list[Row]:
        return self.history[self.phase_ends[-1] if self.phase_ends else 0 :]

    def epoch(self) -> Row:
        """Train one epoch and validate. Raises rows.DivergenceError."""
        self.model.keep_features()  # before the clock: later epochs do not pay for it
        started = time.perf_counter()
        self._seed(len(self.history) + 1)
        batches = self.model.batches()
        monitored = [row.get(self.config.monitor, math.nan) for row in self._in_phase]
        lr = self._phases[len(self.phase_ends)]
        rates = schedules.learning_rates(self.config, lr, len(monitored), len(batches), monitored)
        self._to_training()
        losses, hits = self._train(batches, rates)
        self._to_scoring(batches)
        images, none = self.model.data.validation, torch.empty(0, device=self.device)
        validated = none if self.epochs else self.model.measure(images, self._validated)
        found = [losses, hits, validated[:2], *map(torch.atleast_1d, self._tally.values())]
        measured = torch.cat([*found, validated[2:]]).tolist()  # the epoch's one host sync
        basic = 2 * len(batches) + len(validated[:2])
        sizes, count = [len(batch) for batch in batches], len(self.data.validation.labels)
        row = rows.means(measured[:basic], sizes, count, len(self.history))
        row |= zip(self._more, measured[basic:], strict=True)
        row |= {"lr": float(rates[-1]), "seconds": time.perf_counter() - started}
        self.history.append(row)
        self._judge(row)
        return row

    def _seed(self, stream: int) -> None:
        """An epoch's draws; a transform of one's own may draw with any of the three."""
        seed = derived_seed(self.seed, stream)
        torch.manual_seed(seed)
        if self.config.transform:
            random.seed(seed)
            np.random.seed(seed % 2**32)

    def _to_training(self) -> None:
        """Put the weights that are trained into the network."""
        stepping.to_training(self.optimizer)
        self.averages = self.averages or self._new_averages()
        if self.averages is not None:
            self.averages.to_training()

    def _new_averages(self) -> Averages | None:
        """Those of `ema_decay`, from the weights at hand; an optimizer may have others instead."""
        decay = self.config.ema_decay
        if decay is None or stepping.averages(self.optimizer):
            return None
        return Averages(self.model.network, decay)

    def _to_scoring(self, batches: list[Tensor]) -> None:
        """Put the averaged weights into the network, where there are such: from here to the next
        epoch, so that they are what is scored, saved and kept as the best."""
        if stepping.to_scoring(self.optimizer):  # no step has seen these weights' activations
            self.model.recompute_norms(batches)
        if self.averages is not None:
            self.averages.to_scoring()

    def _train(self, batches: list[Tensor], rates: schedules.Rates) -> tuple[Tensor, Tensor]:
        """One pass over the batches; the loss and the correct answers of each, float32 [steps]."""
        self.model.train_mode()
        self._tally.clear()
        self.model.data.train.plan(batches)
        whole = len(batches) if len(batches[-1]) == len(batches[0]) else len(batches) - 1
        graphed = self._graphed((whole, len(batches[0])))
        done = torch.empty(2, 0, device=self.device)
        if graphed is not None:
            ordered = torch.stack(batches[:whole])
            planned = torch.from_numpy(rates[:whole].astype(np.float32))
            done = graphed.run(self._step, ordered, planned, self.model.data.train.advance)
            self.eager_because = graphed.eager_because
        first = done.shape[1]
        steps = [
            self._step_at(rate, batch)
            for batch, rate in zip(batches[first:], rates[first:].tolist(), strict=True)
        ]
        rest = [torch.stack(column).float() for column in zip(*steps, strict=True)]
        if not rest:
            return done[0], done[1]
        return torch.cat([done[0], rest[0]]), torch.cat([done[1], rest[1]])

    def _step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Train on one batch; its loss and its correct answers, float32 on the device."""
        logits, targets = self.model.forward(index)
        loss = losses.of_targets(logits, targets, self.config, self.model.class_weights)
        for parameter in self.model.parameters:
            parameter.grad = None
        self.model.backward(self._scale.scaled(loss) if self._scale else loss)
        if self._scale:
            self._scale.unscale(self.model.parameters)
        if self.config.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters, self.config.clip_grad_norm)
        self._scale.step(self._optimize) if self._scale else self._optimize()
        if self.averages is not None:
            self.averages.update()
        self._tally.add(logits.detach(), targets.main)
        right = logits.detach().argmax(1) == targets.main
        return loss.detach(), right.sum(dtype=torch.float32)

    def _step_at(self, rate: float, index: Tensor) -> tuple[Tensor, Tensor]:
        stepping.set_rate(self.optimizer, rate)
        self.model.data.train.advance()
        return self._step(index)

    def _graphed(self, shape: tuple[int, int]) -> GraphedSteps | None:
        if self._wants_graph and self._graph is None and shape[0] > 0:
            self._graph = GraphedSteps(self.optimizer, shape)
        return self._graph

    def _judge(self, row: Row) -> None:
        """Keep the best weights; end the phase when its patience or its epochs are used up."""
        if self.epochs:
            self.best_epoch = len(self.history) - 1
            if len(self.history) == self.epochs:
                self.reason = "all_epochs"
                self._end_phase()
            return
        value = row[self.config.monitor]
        value = value if scores.rises(self.config.monitor) else -value
        delta, patience = self.config.min_delta, self.config.patience
        self.waited += 1
        if value - delta > self.phase_best:
            self.phase_best, self.waited = value, 0
        if value - delta > self.best_value:
            self.best_value, self.best_epoch = value, len(self.history) - 1
            if self.config.restore_best_weights:
                self.best_weights = self.model.copy_weights()
        plateau = patience is not None and self.waited >= max(patience, 1)
        if plateau or len(self._in_phase) == self.config.epochs:
            self.reason = "plateau" if plateau else "all_epochs"
            self._end_phase()

    def _end_phase(self) -> None:
        self.phase_ends.append(len(self.history))
        if self.best_weights:
            self.model.network.load_state_dict(self.best_weights)
        if not self.finished:  # a fresh optimizer and fresh patience; the weights stay
            self.phase_best, self.waited = -math.inf, 0
            self._make_optimizer()

    def _make_optimizer(self) -> None:
        on_cuda = self.device.type == "cuda"
        why = self._asked or graph.hindrance(self.config)
        self._wants_graph = on_cuda and not why
        self.eager_because = why if on_cuda else ""
        lr = self._phases[len(self.phase_ends)]
        self.optimizer = optimizers.build(
            self.model.network.parameters(), self.config, lr, graphed=self._wants_graph
        )
        self._optimize = stepping.stepper(self.optimizer)
        scaled = self.config.precision == "float16"
        self._scale = LossScale(self.optimizer, self.device) if scaled else None
        self.averages = self._graph = None

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs; tensors are the live ones."""
        state = {name: getattr(self, name) for name in STATE}
        network, optimizer = self.model.network.state_dict(), self.optimizer.state_dict()
        if self.averages is not None:
            state["averages"] = self.averages.state_dict()
        if self._scale is not None:
            state["loss_scale"] = self._scale.state_dict()
        return state | {"network": network, "optimizer": optimizer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()` of a run with the same configuration, data and seed."""
        for name in STATE:
            setattr(self, name, state[name])
        self.model.network.load_state_dict(state["network"])
        if not self.finished:
            self._make_optimizer()
            stepping.restore(self.optimizer, state["optimizer"])
            if self._scale is not None:
                self._scale.load_state_dict(state["loss_scale"])
            if "averages" in state and (averages := self._new_averages()):
                averages.load_state_dict(state["averages"])
                self.averages = averages


def derived_seed(seed: int, stream: int) -> int:
    """A seed of its own for each epoch; stream 0 draws the initial weights."""
    return int(np.random.SeedSequence((seed, stream)).generate_state(1, np.uint64)[0] >> 1)
