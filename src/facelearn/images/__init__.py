"""One image: decoded, hashed, looked over."""
