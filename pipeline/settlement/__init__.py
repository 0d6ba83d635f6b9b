"""Settlement: views are judged again before their money is released."""
