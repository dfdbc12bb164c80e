"""What a run leaves on the disk: the names in its folder, who may write there, and its results read back."""
