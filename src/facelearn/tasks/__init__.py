"""What a model learns: a folder a task, each with its settings, answer, measure, page and learner."""
