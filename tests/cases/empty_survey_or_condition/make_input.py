"""`--where "$COND"` or `--survey "$SURVEY"` with a variable that was never set means all objects to a careless tool."""
