COPY selected_rows TO $file (FORMAT csv, HEADER, NEW_LINE '\r\n')
