"""The sandbox payment provider and the sandbox carrier as a server of their own, as real ones are other machines."""
