"""Those who are told of every answer.

metrics     what the counters learn
drift       served features beside those of training
shadow      a second version that scores along
journal     the log of what was shown
background  work that nobody waits for
"""
