"""All cases."""

from __future__ import annotations

import lint_cases_ensembles as ensembles
import lint_cases_fields as fields
import lint_cases_files as files
import lint_cases_native as native
import lint_cases_scheduling as scheduling
import lint_cases_tensors as tensors
from lint_repositories import Case

CASES: tuple[Case, ...] = (
    *files.LAYOUT,
    *files.TEXT,
    *files.CODE,
    *tensors.TOP_LEVEL,
    *tensors.TENSORS,
    *scheduling.SCHEDULER,
    *scheduling.SEQUENCES,
    *fields.INSTANCES,
    *fields.RESOURCES,
    *fields.WARMUP,
    *fields.PARAMETERS,
    *native.DEPLOYED,
    *native.NATIVE,
    *native.DALI,
    *ensembles.FIELDS,
    *ensembles.STEPS,
    *ensembles.TENSORS,
    *ensembles.TYPES,
    *ensembles.PARTS,
    *ensembles.DALI,
    *ensembles.CIRCLE,
)
