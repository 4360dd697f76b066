"""How units are scheduled, and nothing else."""
