"""What belongs together, and how a table is divided without tearing it apart."""
