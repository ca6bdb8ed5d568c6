"""Find a truncated write-ahead log and damaged files of rounds, for `check`."""

from collections.abc import Sequence
from pathlib import Path

from catbuilder.catalogue.round_records import RoundPlan, score_manifest_file, training_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.catalogue.write_ahead_log import exclusive_access, is_truncated, wal_file
from catbuilder.core.files import sha256_file
from catbuilder.network.model_card import is_whole
from catbuilder.rounds.scoring import damaged_files


def truncated_log(workspace: Workspace) -> list[str]:
    """Report whether DuckDB's write-ahead log is truncated; call it before the catalogue is opened."""
    log = wal_file(workspace.catalog_file)
    if log.exists():
        with exclusive_access(workspace.catalog_file) as alone:
            if alone and is_truncated(log):
                return [f"{log.name} is truncated; the next recording keeps a copy of it and repeats the step"]
    return []


def damaged_round_files(workspace: Workspace, plans: Sequence[RoundPlan]) -> list[str]:
    """List the files of rounds that are missing or changed, a sentence each."""
    faults = []
    for plan in plans:
        manifests = {
            training_manifest_file(workspace, plan.round): plan.manifest_sha256,
            score_manifest_file(workspace, plan.round): plan.score_manifest_sha256,
        }
        damaged = [file for file, sha256 in manifests.items() if not file.is_file() or sha256_file(file) != sha256]
        folder = workspace.round_folder(plan.round)
        for hashes in sorted(folder.glob("**/scores/hashes-*.json")):
            damaged += damaged_files(hashes)
        damaged += _damaged_checkpoints(folder)
        faults += [f"{file.relative_to(workspace.path)} is missing or damaged" for file in damaged]
    return faults


def _damaged_checkpoints(folder: Path) -> list[Path]:
    """List incomplete checkpoints; a round that is not closed resumes from the last complete one."""
    return [file for file in sorted(folder.glob("attempts/*/[!.]*.safetensors")) if not is_whole(file)]
