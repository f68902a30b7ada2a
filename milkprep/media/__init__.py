"""Pictures and sound by address: which addresses are followed, how politely, and where their content is kept.

Everything that comes with an address is hostile until it is checked: the address itself, where its name leads, where it
redirects to, how long and how large the answer is, and what it holds.
"""
