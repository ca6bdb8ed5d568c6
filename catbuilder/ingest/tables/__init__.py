"""Read survey tables: CSV, ECSV, FITS, VOTable and Parquet."""
