"""Rules over summaries of tensors: weights, gradients, activations, inputs. Pure; the last summary is judged."""

from __future__ import annotations

import math
from collections.abc import Sequence

from muniment.analytics.rules.events import Finding, Scalar, Summary

__all__ = [
    "all_zero",
    "check_input_images",
    "dead_relu",
    "exploding_tensor",
    "nlp_sequence_ratio",
    "poor_weight_initialization",
    "saturated_activation",
    "tensor_variance",
    "unchanged_tensor",
    "vanishing_gradient",
    "weight_update_ratio",
]


def all_zero(window: Sequence[Summary], *, threshold: float) -> Finding | None:
    """Fire when at least so many percent of the values are 0."""
    now = window[-1]
    size, zeros = now.number("size"), now.number("zeros")
    if not size or zeros is None:
        return None
    percent = 100 * zeros / size
    return _if(percent >= threshold, now, f"{percent:.4g} % of the values are 0", zeros_percent=percent)


def tensor_variance(
    window: Sequence[Summary], *, max_threshold: float | None, min_threshold: float | None
) -> Finding | None:
    """Fire when the variance is above or below a bound; without bounds nothing fires."""
    now = window[-1]
    variance = now.number("var")
    if variance is None:
        return None
    if max_threshold is not None and variance > max_threshold:
        return _if(True, now, f"the variance is {variance:.4g}, more than {max_threshold:g}", variance=variance)
    low = min_threshold is not None and variance < min_threshold
    return _if(low, now, f"the variance is {variance:.4g}, less than {min_threshold}", variance=variance)


def unchanged_tensor(window: Sequence[Summary], *, num_steps: int) -> Finding | None:
    """Fire when the values of so many reports were close to those before them, by the tolerances of the job."""
    last = window[-(num_steps - 1) :] if num_steps > 1 else window[-1:]
    same = len(last) >= max(1, num_steps - 1) and all(one.facts.get("close") is True for one in last)
    return _if(same, window[-1], f"the tensor did not change over {num_steps} reports", since=last[0].step)


def dead_relu(window: Sequence[Summary], *, threshold_inactivity: float, threshold_layer: float) -> Finding | None:
    """Fire when more than a share of a layer's units are active for less than a share of the rows; both in percent."""
    now = window[-1]
    active = now.numbers("unit_active")
    if not active:
        return None
    percent = 100 * sum(one < threshold_inactivity for one in active) / len(active)
    return _if(percent > threshold_layer, now, f"{percent:.4g} % of the units are dead", dead_percent=percent)


def saturated_activation(
    window: Sequence[Summary], *, threshold_inactivity: float, threshold_layer: float
) -> Finding | None:
    """Fire when more than a share of a layer's units are saturated for all but a share of the rows; both in percent.

    ``unit_active`` is here the share of rows in which what goes into tanh or sigmoid lies between the bounds.
    """
    now = window[-1]
    active = now.numbers("unit_active")
    if not active:
        return None
    percent = 100 * sum(one < threshold_inactivity for one in active) / len(active)
    return _if(percent > threshold_layer, now, f"{percent:.4g} % of the units are saturated", saturated_percent=percent)


def exploding_tensor(window: Sequence[Summary], *, only_nan: bool) -> Finding | None:
    """Fire when a value is not a number, or infinite unless ``only_nan``."""
    now = window[-1]
    nan, infinite = int(now.number("nan") or 0), int(now.number("inf") or 0)
    bad = nan > 0 or (infinite > 0 and not only_nan)
    return _if(bad, now, f"{nan} values are not numbers and {infinite} are infinite", nan=nan, infinite=infinite)


def vanishing_gradient(window: Sequence[Summary], *, threshold: float) -> Finding | None:
    """Fire when the mean absolute value of a gradient is below a bound."""
    now = window[-1]
    mean = now.number("mean_abs")
    if mean is None:
        return None
    return _if(mean < threshold, now, f"the mean absolute gradient is {mean:.3g}", mean_abs=mean)


def poor_weight_initialization(
    weights: Sequence[Summary],
    gradients: Sequence[Summary],
    losses: Sequence[Scalar],
    *,
    threshold: float,
    distribution_range: float,
    patience: int,
    steps: int,
) -> Finding | None:
    """Fire in the first steps when layers start too unlike, gradients lie too close together, or the loss stands still.

    Args:
        weights: the first reports of the weights of each layer.
        gradients: reports of gradients.
        losses: on the training rows.
        threshold: most ratio of the variance of one layer's weights to that of another.
        distribution_range: least distance between the 5th and 95th percentile of a gradient.
        patience: so many steps the loss may not fall.
        steps: so many steps are looked at.
    """
    first = [one for one in weights if one.step <= steps]
    if first:
        now = first[-1]
        spread = [value for one in first if one.step == now.step and (value := one.number("var")) is not None]
        ratio = max(spread) / min(spread) if spread and min(spread) > 0 else 1.0
        if ratio > threshold:
            return Finding(now.step, f"variances of layers differ {ratio:.3g} times", {"variance_ratio": ratio})
    for one in gradients:
        low, high = one.number("p5"), one.number("p95")
        if one.step <= steps and low is not None and high is not None and high - low < distribution_range:
            return _if(True, one, f"the gradient lies within {high - low:.3g}", range=high - low)
    early = [one for one in losses if one.step <= steps]
    if len(early) > patience:
        last = early[-(patience + 1) :]
        if min(one.value for one in last[1:]) >= last[0].value:
            return Finding(last[-1].step, f"the loss did not fall for {patience} steps", {"loss": last[-1].value})
    return None


def weight_update_ratio(
    window: Sequence[Summary], *, large_threshold: float, small_threshold: float, epsilon: float
) -> Finding | None:
    """Fire when weights move by too large or too small a share of their size from one report to the next."""
    now = window[-1]
    moved = now.number("update_mean_abs")
    before = window[-2].number("mean_abs") if len(window) > 1 else None
    if moved is None or before is None:
        return None
    ratio = moved / (before + epsilon)
    bad = ratio > large_threshold or ratio < small_threshold
    return _if(bad, now, f"the update is {ratio:.3g} of the weights", ratio=ratio)


def check_input_images(window: Sequence[Summary], *, threshold_mean: float, threshold_samples: int) -> Finding | None:
    """Fire when, over enough images, the mean of a channel is further from 0 than a bound: they are not centred."""
    count = sum(one.number("samples") or 0 for one in window)
    if count < threshold_samples:
        return None
    channels = max(len(one.numbers("channel_mean")) for one in window)
    for place in range(channels):
        total = sum(
            means[place] * (one.number("samples") or 0)
            for one in window
            if len(means := one.numbers("channel_mean")) > place
        )
        mean = total / count
        if abs(mean) > threshold_mean:
            return _if(True, window[-1], f"channel {place} has mean {mean:.3g}", channel=place, mean=mean)
    return None


def nlp_sequence_ratio(
    window: Sequence[Summary], *, token_values: Sequence[str], token_thresholds_percent: Sequence[float]
) -> Finding | None:
    """Fire when a token, such as padding, makes up more than so many percent of a batch of sequences."""
    now = window[-1]
    size, tokens = now.number("size"), now.facts.get("tokens")
    if not size or not isinstance(tokens, dict):
        return None
    for place, token in enumerate(token_values):
        limit = token_thresholds_percent[min(place, len(token_thresholds_percent) - 1)]
        found = tokens.get(str(token), 0)
        percent = 100 * found / size if isinstance(found, (int, float)) and abs(found) < 2**53 else 0.0
        if percent > limit:
            return _if(True, now, f"token {token} makes up {percent:.4g} %", token=str(token), percent=percent)
    return None


def _if(fires: bool, one: Summary, message: str, **facts: float | int | str | None) -> Finding | None:
    if not fires:
        return None
    kept = {key: value for key, value in facts.items() if not isinstance(value, float) or math.isfinite(value)}
    return Finding(one.step, f"{one.name}: {message}", {"tensor": one.name, **kept})
