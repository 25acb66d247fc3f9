"""Places that hold one number each, whoever found them: what the readers are given of them."""
