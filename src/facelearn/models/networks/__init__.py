"""The networks, one file a family; building one needs torch, listing them does not."""
