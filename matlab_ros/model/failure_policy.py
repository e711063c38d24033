"""What a recipe does when an attempt of a step fails: tries again, elsewhere, asks, or gives up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from matlab_ros.model.lab_words import Remedy
from matlab_ros.model.yaml_file import Strict


def _ladder(value: Any) -> Any:
    """One remedy may be written without brackets."""
    return (value,) if isinstance(value, (str, Remedy)) else value


class RetryPolicy(Strict):
    """How often and how soon the same is tried again at the same device."""

    retry: int = Field(default=1, ge=0, le=20)
    """Further attempts, where the fault allows it and the sample was not touched."""
    wait_min: float = Field(default=1.0, ge=0)
    """Minutes before the first further attempt."""
    backoff: Literal["fixed", "exponential"] = "fixed"
    """fixed: each wait is the same; exponential: each is twice the one before."""
    max_wait_min: float = Field(default=60.0, ge=0)
    """No wait is longer."""

    def wait_before(self, failures: int) -> float:
        """Minutes to wait after so many failures in a row (at least 1)."""
        factor = 2.0 ** (failures - 1) if self.backoff == "exponential" else 1.0
        return min(self.wait_min * factor, max(self.max_wait_min, self.wait_min))


class FailurePolicy(RetryPolicy):
    """What to do when an attempt of a step fails."""

    then: Annotated[tuple[Remedy, ...], BeforeValidator(_ladder)] = Field(
        default=(Remedy.ABORT_EXPERIMENT,), min_length=1
    )
    """When the attempts are used up: the first of these that is possible; one word or several.
    `other_device` and `ask` may come before one that ends the matter; without such a one it is
    `abort_experiment`."""
    ask_deadline_min: float = Field(default=480.0, gt=0)
    """Minutes after which what stands behind `ask` answers a question that nobody answered."""

    @model_validator(mode="after")
    def _ends_once(self) -> FailurePolicy:
        twice = sorted({word.value for word in self.then if self.then.count(word) > 1})
        if twice:
            raise ValueError(f"then names {twice[0]!r} twice; expected each remedy once")
        for word in self.then[:-1]:
            if word.ends:
                raise ValueError(
                    f"then names {word.value!r} before others, which are never reached; "
                    "expected it last"
                )
        if self.then[:2] == (Remedy.ASK, Remedy.OTHER_DEVICE):
            raise ValueError(
                "then asks before it tries another device; expected other_device first"
            )
        return self
