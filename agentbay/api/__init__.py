"""Settings that only some images have, under the path that existing programs import from."""
