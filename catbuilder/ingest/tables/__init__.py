"""Read survey tables: CSV, FITS, VOTable and Parquet."""
