"""Networks: tensors in, tensors out; `zoo` lists and builds them."""
