"""What all parts of a task's description are made of: strict models whose errors have the path of their keys."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from pipeline_assets.task.names import did_you_mean

Sql = Annotated[str, Field(min_length=1, description="A DuckDB SQL expression over one row")]


class Problem(NamedTuple):
    """What is wrong at one place of a task: the path of keys, and the sentence."""

    path: tuple[str, ...]
    message: str


def refuse(title: str, problems: Sequence[Problem], data: Any) -> None:
    """Raises all problems as one ValidationError of pydantic, each with its place; does nothing without problems.

    Pydantic keeps the places when a validator raises its own error type, and Dagster turns them into lines.
    """
    if not problems:
        return

    def given(path: tuple[str, ...]) -> Any:
        value = data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
        return value

    raise ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(
                # One of pydantic's error types, because Dagster makes the error again, with lines, by the type's name.
                type="value_error",
                loc=problem.path,
                input=given(problem.path),
                ctx={"error": ValueError(problem.message)},
            )
            for problem in problems
        ],
    )


class SpecModel(BaseModel):
    """Strict and frozen: an unknown key is an error, and a task does not change once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """Refuses unknown keys and names the known ones, which pydantic's own message does not."""
        if isinstance(data, dict):
            refuse(
                cls.__name__,
                [
                    Problem(
                        (key,),
                        f"no such key; there are {', '.join(cls.model_fields)}{did_you_mean(key, cls.model_fields)}",
                    )
                    for key in data
                    if key not in cls.model_fields
                ],
                data,
            )
        return data
