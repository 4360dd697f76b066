"""What a run has paid for besides its rows: pairs of a right and a wrong answer, and prompts with how often they are solved.

Both are written in the forms that TRL reads.
"""
