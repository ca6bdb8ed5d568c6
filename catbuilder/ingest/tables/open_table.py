"""Open a table of any format by its name and content."""

from pathlib import Path

from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.csv_file import CsvFile
from catbuilder.ingest.tables.fits_table import FitsFile
from catbuilder.ingest.tables.parquet_files import ParquetFiles, parquet_parts
from catbuilder.ingest.tables.table_file import TableFile
from catbuilder.ingest.tables.votable_file import VotableFile


def open_table(path: Path, limits: Limits | None = None) -> TableFile:
    """Look at a file's columns: .csv[.gz], .fits[.gz], .vot, .xml, .votable, .parquet, or a folder or glob of Parquet.

    Raises
    ------
    InputError
        No such file, of none of these kinds, too large, or one that cannot be read as what its name says.
    """
    limits = limits or Limits()
    name = path.name.lower().removesuffix(".gz")
    parts = parquet_parts(path)
    if parts:
        return ParquetFiles(path, parts, limits)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give a CSV, FITS, VOTable or Parquet file, or a folder of Parquet")
    if name.endswith(".csv"):
        return CsvFile(path, limits)
    if name.endswith((".fits", ".fit")):
        return FitsFile(path, limits)
    if name.endswith((".vot", ".xml", ".votable")):
        return VotableFile(path, limits)
    raise InputError(
        f"{path} is of no known kind by its name; give .csv, .csv.gz, .fits, .fits.gz, .vot, .xml, .votable or .parquet"
    )
