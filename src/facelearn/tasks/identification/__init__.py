"""The task identification: which of the people it knows a face shows, however uneven their photos."""
