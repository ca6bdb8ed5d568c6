"""Fetch missing images from cut-out services."""
