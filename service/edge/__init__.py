"""What stands before the routes.

boundary   wraps every request
incoming   a request before its body is read
access     keys, scopes and rates
proxies    whose request a proxy hands on
asking     headers and parameters
body       bodies within their limits
room       memory for bodies that are being decoded
pool       threads for scoring, and a short queue
draining   between the wish to stop and the stop
"""
