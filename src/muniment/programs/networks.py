"""A network of PyTorch that tells training rules about itself: weights, gradients and what its activations do.

Steps are those of the optimizer, so that a training loop stays as it is. Without rules they are counted, and nothing
else is worked out: the same script works outside of a job.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from muniment.errors import Invalid
from muniment.programs.debugging import log_tensor, watching

__all__ = ["Watched", "watch"]

_ACTIVATIONS: Final = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
"""Modules that rules know by what they do: of ReLU it is what comes out, of the others what goes in."""


class Watched:
    """A network that is being trained."""

    def __init__(self, model: Any, every: int) -> None:
        self.step = 0
        """Steps of the optimizer so far: what the losses of this moment are reported under."""
        self._every = every
        # A row vector or a bias says nothing of how a layer was initialised or learns.
        self._weights = [(name, one) for name, one in model.named_parameters() if one.ndim > 1]
        self._mine = {id(one) for one in model.parameters()}
        self._told: set[str] = set()

    def forward(self, name: str, collection: str, module: Any, values: Any) -> None:
        """An activation was asked: the first time in a step that is looked at."""
        due = self.step % self._every == 0 and module.training and name not in self._told
        if due and hasattr(values, "detach"):
            self._told.add(name)
            self._tell(name, values, collection)

    def before_step(self, optimizer: Any, *_: object) -> None:
        """The optimizer is about to take a step, with the gradients of this one in place."""
        if not any(id(one) in self._mine for group in optimizer.param_groups for one in group["params"]):
            return
        if self.step % self._every == 0 and watching().active:
            for name, one in self._weights:
                self._tell(name, one, "weight")
                if one.grad is not None:
                    self._tell(f"{name}.grad", one.grad, "gradient")
        self._told.clear()
        self.step += 1

    def _tell(self, name: str, values: Any, collection: str) -> None:
        log_tensor(name, values.detach().double(), step=self.step, collection=collection)


def watch(model: Any, *, every: int = 50) -> Watched:
    """Have training rules look at a network of PyTorch while it is trained; call it once, before the first step.

    Reported at the first step and every so many after it are the weights of more than one dimension with their
    gradients, and what ``torch.nn.ReLU``, ``Tanh`` and ``Sigmoid`` modules do in training mode; functions such as
    ``torch.relu`` cannot be seen: report theirs by ``log_tensor``. Losses are yours to report, under the steps of what
    is returned::

        watched = muniment.watch(net)
        ...
        optimizer.step()
        muniment.log(step=watched.step, train_loss=loss)

    Args:
        model: a ``torch.nn.Module``.
        every: steps of the optimizer from one look to the next.

    Raises:
        Invalid: it is no network of PyTorch, or ``every`` is less than 1.
    """
    if every < 1 or not all(hasattr(model, name) for name in ("named_modules", "named_parameters")):
        raise Invalid(
            "MUNI-N108",
            "a network of PyTorch is watched every so many steps",
            type=type(model).__name__,
            every=every,
            do="give a torch.nn.Module, and 1 step or more",
        )
    watched = Watched(model, every)
    import_module("torch.optim.optimizer").register_optimizer_step_pre_hook(watched.before_step)
    if watching().active:
        for name, module in model.named_modules():
            collection = _ACTIVATIONS.get(type(module).__name__)
            if collection is not None:
                module.register_forward_hook(_hook(watched, name, collection))
    return watched


def _hook(watched: Watched, name: str, collection: str) -> Any:
    def told(module: Any, given: tuple[Any, ...], came: Any) -> None:
        watched.forward(name, collection, module, came if collection == "relu" else given[0])

    return told
