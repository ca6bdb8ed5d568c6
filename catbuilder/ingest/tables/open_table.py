"""Open a catalogue file: CSV, ECSV, FITS, VOTable or Parquet, by its name."""

from pathlib import Path

from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.ecsv_file import EcsvFile, is_ecsv
from catbuilder.ingest.tables.fits_table import FitsFile
from catbuilder.ingest.tables.parquet_files import ParquetFiles
from catbuilder.ingest.tables.parquet_folder import parquet_parts
from catbuilder.ingest.tables.streamed_csv import CsvFile
from catbuilder.ingest.tables.table_file import TableFile
from catbuilder.ingest.tables.votable_file import VotableFile


def open_table(path: Path, limits: Limits | None = None) -> TableFile:
    """Open a .csv[.gz], .ecsv[.gz], .fits[.gz], .vot, .xml, .votable or .parquet file, or a folder or glob of Parquet.

    Raises
    ------
    InputError
        The file does not exist, has another ending, is too large, or cannot be read as the format of its name.
    """
    limits = limits or Limits()
    name = path.name.lower().removesuffix(".gz")
    parts = parquet_parts(path)
    if parts:
        return ParquetFiles(path, parts, limits)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give a CSV, ECSV, FITS, VOTable or Parquet file, or a folder of Parquet")
    if name.endswith(".ecsv") or (name.endswith(".csv") and is_ecsv(path)):
        return EcsvFile(path, limits)
    if name.endswith(".csv"):
        return CsvFile(path, limits)
    if name.endswith((".fits", ".fit")):
        return FitsFile(path, limits)
    if name.endswith((".vot", ".xml", ".votable")):
        return VotableFile(path, limits)
    raise InputError(
        f"{path} has an unknown ending; give .csv, .csv.gz, .ecsv, .fits, .fits.gz, .vot, .xml, .votable or .parquet"
    )
