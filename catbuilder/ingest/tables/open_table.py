"""Open a catalogue file by the ending of its name: CSV, ECSV, FITS, VOTable or Parquet.

Whether a file is compressed is told by its first bytes, not by its name.
"""

from pathlib import Path

from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.ecsv_file import EcsvFile, is_ecsv
from catbuilder.ingest.tables.fits_table import FitsFile
from catbuilder.ingest.tables.packed_file import PACKED_ENDINGS, refuse_other_content
from catbuilder.ingest.tables.parquet_files import ParquetFiles
from catbuilder.ingest.tables.parquet_folder import parquet_parts
from catbuilder.ingest.tables.streamed_csv import CsvFile
from catbuilder.ingest.tables.table_file import ANY_TABLE, TableChoice, TableFile
from catbuilder.ingest.tables.votable_file import VotableFile


def open_table(path: Path, limits: Limits | None = None, choice: TableChoice = ANY_TABLE) -> TableFile:
    """Open a .csv, .ecsv, .fits, .vot, .xml or .votable file, also compressed, or a file, folder or glob of Parquet.

    Parameters
    ----------
    choice : which table of a FITS file or VOTable with several is meant

    Raises
    ------
    InputError
        The file does not exist, has another ending, is too large, or cannot be read as the format of its name.
    """
    limits = limits or Limits()
    name = path.name.lower()
    for ending in PACKED_ENDINGS:
        name = name.removesuffix(ending)
    parts = parquet_parts(path)
    if choice.name and (parts or name.endswith((".csv", ".ecsv"))):
        raise InputError(f"--table {choice.name}: {path} is one table; --table is for FITS files and VOTables")
    if parts:
        if path.is_file():
            refuse_other_content(path, "Parquet")
        return ParquetFiles(path, parts, limits)
    if not path.is_file():
        raise InputError(
            f"there is no file {path}; give a CSV, ECSV, FITS, VOTable or Parquet file, or a folder of Parquet"
        )
    if name.endswith(".ecsv") or (name.endswith(".csv") and is_ecsv(path)):
        refuse_other_content(path, "ECSV")
        return EcsvFile(path, limits)
    if name.endswith(".csv"):
        refuse_other_content(path, "CSV")
        return CsvFile(path, limits, choice)
    if name.endswith((".fits", ".fit")):
        refuse_other_content(path, "FITS")
        return FitsFile(path, limits, choice)
    if name.endswith((".vot", ".xml", ".votable")):
        refuse_other_content(path, "VOTable")
        return VotableFile(path, limits, choice)
    raise InputError(
        f"{path} has an unknown ending; give .csv, .ecsv, .fits, .vot, .xml, .votable (also with .gz, .bz2 or .xz) or "
        ".parquet"
    )
