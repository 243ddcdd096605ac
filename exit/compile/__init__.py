"""An agent compiled into a fixed program, and certified state by state."""

from exit.compile.artifact import (
    FORMATS,
    Artifact,
    num_parameters,
    to_onnx,
    to_sampled_tree,
    to_stablehlo,
    to_table,
    to_tree,
)
from exit.compile.certificate import certify
from exit.compile.files import require_writable
from exit.compile.frontier import tree_frontier
from exit.compile.subject import Subject, not_enumerable, subject_of

__all__ = [
    "FORMATS",
    "Artifact",
    "Subject",
    "certify",
    "not_enumerable",
    "num_parameters",
    "require_writable",
    "subject_of",
    "to_onnx",
    "to_sampled_tree",
    "to_stablehlo",
    "to_table",
    "to_tree",
    "tree_frontier",
]
