"""Write the catalogue as FITS, VOTable, Parquet, HATS or CSV, and as a release."""
