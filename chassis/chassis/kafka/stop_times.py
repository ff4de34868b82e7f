"""How the consumer and the relay divide the time to stop. All are shares of SHUTDOWN_TIMEOUT_S.

The service gives its parts 75 % of it (chassis/service.py). The relay is stopped last, after the consumer and the
requests (at most 60 %, chassis/http/server.py), so that it sends what they have committed.
"""

# The consumer, 60 %: to finish and commit the messages in flight, and to leave the group.
DRAIN_SHARE = 0.5
LEAVE_SHARE = 0.1

# The relay, 15 %: to send what is committed, and to close its session.
LAST_SENDS_SHARE = 0.1
CLOSE_SHARE = 0.05
