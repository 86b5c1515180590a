"""The four services, the runtime they share, and what comes in. They know each other through events alone."""
