"""The service answered with a page that says what is wrong, and the browser saved it under the table's name."""

from pathlib import Path

PAGE = "<!DOCTYPE html>\n<html><head><title>502 Proxy Error</title></head><body>Sorry.</body></html>"
XHTML = '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" ""><html><title>Log in</title></html>'
Path("page.csv").write_text(PAGE)
Path("page.fits").write_text(PAGE)
Path("page.parquet").write_text(PAGE)
Path("page.vot").write_text(PAGE)
Path("page.xml").write_text(XHTML)
