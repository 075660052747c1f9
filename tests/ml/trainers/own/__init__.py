"""Networks as users bring them: the worked examples of the trainers pytorch and tensorflow."""
