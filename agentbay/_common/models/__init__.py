"""Values and results, under the path that existing programs import from."""
