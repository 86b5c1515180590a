"""Real processes, real orders, and one fault after another: nothing may be lost, doubled, oversold or charged twice."""
