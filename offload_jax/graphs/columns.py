"""Names of the 64 numbers that a learned policy reads, in order: one list for JAX, numba and C.

Times are relative to the least finish time over places, where they are points in time, and shares
of the request's scale. `head` and `tail` are least times before and after a task without
contention. Where the serial latency would have tasks is what `beliefs` says.
"""

# Shares of what they are together with `own`, the task's mean seconds and those of moving its
# results: what graphs of any number of tasks are told of one task.
GAPS = (
    "finish_gap",  # over the least finish
    "through_gap",  # finish + tail, over the least
    "agreed_gap",  # finish + agreed_tail, over the least
    "extra_gap",  # extra
    "wait_gap",  # wait
)
# Of a task at one place.
PLACE = (
    "ready",  # all that it needs has arrived
    "start",
    "finish",
    "back",  # its output is home
    "beside_least",  # finish + tail, over the least of all places
    "tail",
    "seconds",
    "wait",  # from ready to start
    "idle",  # the first server is idle
    "work_left",  # of all tasks from this one on, over the servers
    "drained",  # idle + work_left
    "link_seconds",  # that its transfers take from the links
    "inbound",  # links into the place are free, in the mean over routes
    "outbound",  # links out of it likewise
    "sibling_bytes",  # what else its readers need and is there, in mean seconds
    "sibling_fetch",  # seconds of moving what else its readers need to this place
    "resident",  # bytes for this task that are there, in mean seconds
    "inputs_left",  # seconds of moving the inputs of all later tasks
    "outputs_left",  # seconds of moving the outputs of all later tasks
    "single_place",  # everything at this place
    "drained_home",  # idle + work_left + outputs_left, over the least finish + tail
    "extra",  # of serial latency, over that of the best place
    "agreed_tail",  # tail, where all that follows is where the serial latency would have it
    "agreed_sent",  # moving its results there and home
    "agreed_left",  # of later tasks that the serial latency would have here, over the servers
    "agreed_drained",  # idle + agreed_left
    "agreed_through",  # finish + agreed_tail, over the least finish + tail
    "sent_far",  # moving what its readers need to another place
    *GAPS,
)
# Of a task at this step, whatever the place.
STEP = (
    "first",  # the least finish time
    "least",  # the least finish + tail
    "sent",  # mean seconds of moving what its readers need
    "spread_through",  # of finish + tail over places
    "spread_finish",  # of finish over places
)
# Of a task before anything is placed; the last six are of the whole request.
TASK = (
    "rank",
    "rank_share",  # of the highest rank
    "mean_seconds",
    "least_seconds",
    "most_seconds",
    "head",
    "tail",
    "slack",  # of the longest path through it
    "moved_on",  # to all readers and home
    "most_moved",  # to one reader
    "moved_in",  # from all that it needs
    "input",  # to the farthest live place
    "num_readers",
    "num_needed",
    "returning",
    "reader_ranks",
    "bound",  # the longest path
    "highest_rank",
    "total_seconds",
    "total_moved",
    "agreed_rank",  # agreed_tail and its time at its own place
    "agreed_rank_share",  # of the highest such rank
    "margin",  # extra of the second best place
    "agreed_seconds",  # its time at its own place
    "agreed_highest",
    "num_tasks",
)

# What `beliefs` tells.
AGREED = (
    "extra",
    "agreed_tail",
    "agreed_sent",
    "agreed_left",
    "agreed_drained",
    "agreed_through",
    "agreed_gap",
    "extra_gap",
    "agreed_rank",
    "agreed_rank_share",
    "margin",
    "agreed_seconds",
    "agreed_highest",
)

NUM_PLACE, NUM_STEP, NUM_TASK = len(PLACE), len(STEP), len(TASK)
LIMIT = 3.0  # every entry lies in [-LIMIT, LIMIT]; dead links and forbidden places at its end
NEVER = 64.0  # in `beliefs`, of the request's scale: what takes longer takes so long
ROUNDS = 2  # of messages to and fro
LEAST_OWN = 1e-5  # of the request's scale, added to `own`: less is rounding
SAME = 1e-7  # of that: how far apart totals of places are that are equally good
