"""Shared ground: errors, text, files, processes, settings, recipes, sky arithmetic and stamps; opens no catalogue."""
