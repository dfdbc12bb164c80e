"""One public function a verb, wiring the rooms above; the command line only parses, calls one of these and prints."""
