"""JSON Schemas of the files Sudare writes."""
